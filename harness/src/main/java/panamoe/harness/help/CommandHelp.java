package panamoe.harness.help;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.harness.help.Footer.Blank;
import panamoe.harness.help.Footer.Example;
import panamoe.harness.help.Footer.Prose;
import panamoe.io.Words;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParseResult;

/**
 * The help of a command in picocli's form, with four differences: the synopsis has only what is
 * required, options stand under headings, a group with {@code --help-all} is shown only by that
 * option, and lines of the footer break at words.
 */
public final class CommandHelp extends Help {
  /** The option that shows its group. */
  public static final String ALL = "--help-all";

  private static final String REMARK = " ".repeat(6);

  public CommandHelp(CommandSpec command, ColorScheme colours) {
    super(command, colours);
  }

  @Override
  public String synopsis(int headingLength) {
    return Words.of("%s%n", synopsis(commandSpec()));
  }

  /** The required arguments of a command; everything else is "[OPTIONS]". */
  static String synopsis(CommandSpec command) {
    if (command.usageMessage().customSynopsis().length > 0) {
      return command.usageMessage().customSynopsis()[0];
    }
    Stream<String> options =
        command.options().stream()
            .filter(OptionSpec::required)
            .map(option -> option.longestName() + "=" + option.paramLabel());
    Stream<String> parameters =
        command.positionalParameters().stream()
            .filter(parameter -> !parameter.hidden())
            .map(CommandHelp::inSynopsis);
    Stream<String> inner = command.subcommands().isEmpty() ? Stream.of() : Stream.of("COMMAND");
    return Stream.of(Stream.of(command.qualifiedName(), "[OPTIONS]"), options, parameters, inner)
        .flatMap(words -> words)
        .collect(Collectors.joining(" "));
  }

  private static String inSynopsis(PositionalParamSpec parameter) {
    String label = parameter.paramLabel() + (parameter.isMultiValue() ? "..." : "");
    return parameter.required() ? label : "[" + label + "]";
  }

  @Override
  public String optionList() {
    Map<String, List<OptionSpec>> groups = OptionGroups.of(commandSpec());
    StringBuilder text = new StringBuilder();
    groups.forEach(
        (heading, options) -> {
          if (!heading.isEmpty() && groups.size() > 2) {
            text.append(Words.of("%n%s:%n", heading));
          }
          text.append(
              optionListExcludingGroups(
                  shown(options), createDefaultLayout(), null, parameterLabelRenderer()));
        });
    return text.toString();
  }

  private List<OptionSpec> shown(List<OptionSpec> group) {
    ParseResult given = commandSpec().commandLine().getParseResult();
    List<OptionSpec> folded =
        group.stream().filter(option -> option.longestName().equals(ALL)).toList();
    return folded.isEmpty() || given != null && given.hasMatchedOption(ALL) ? group : folded;
  }

  @Override
  public String footer(Object... values) {
    int width = commandSpec().usageMessage().width();
    Footer footer = Footer.of(commandSpec().usageMessage().footer());
    boolean beneath =
        footer.parts().stream()
            .anyMatch(
                part ->
                    part instanceof Example(String _, String remark, String line)
                        && !remark.isEmpty()
                        && line.length() > width);
    return footer.parts().stream()
        .flatMap(
            part ->
                switch (part) {
                  case Blank _ -> Stream.of("");
                  case Prose(String text) -> HelpLines.broken(text, "", "", width).stream();
                  case Example(String _, String remark, String line)
                      when remark.isEmpty() || !beneath ->
                      HelpLines.command(line, width).stream();
                  case Example(String command, String remark, String _) ->
                      Stream.concat(
                          HelpLines.command("  " + command, width).stream(),
                          HelpLines.broken(remark, REMARK, REMARK, width).stream());
                })
        .map(line -> Words.of("%s%n", line))
        .collect(Collectors.joining());
  }
}
