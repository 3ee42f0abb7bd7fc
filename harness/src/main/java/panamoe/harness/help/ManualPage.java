package panamoe.harness.help;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import panamoe.harness.help.Footer.Blank;
import panamoe.harness.help.Footer.Example;
import panamoe.harness.help.Footer.Prose;
import panamoe.io.Words;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** A command's manual page in the man(7) language. */
public final class ManualPage {
  private final CommandSpec command;
  private final StringBuilder page = new StringBuilder();

  private ManualPage(CommandSpec command) {
    this.command = command;
  }

  /** The name of the page, such as {@code panamoe-train}. */
  public static String name(CommandSpec command) {
    return command.qualifiedName("-");
  }

  /**
   * The page of a command.
   *
   * @param version of Panamoe
   * @param date of that version, ISO 8601; empty if it is unknown
   */
  public static String of(CommandSpec command, String version, String date) {
    return new ManualPage(command).write(version, date);
  }

  private String write(String version, String date) {
    String[] description = command.usageMessage().description();
    // The date is not escaped.
    line(
        Words.of(
            ".TH \"%s\" \"1\" \"%s\" \"%s\" \"Panamoe\"",
            escape(name(command).toUpperCase(Locale.ROOT)), date, escape(version)));
    page.append(".ad l\n"); // justified lines would have wide gaps between words
    section("NAME");
    line(escape(name(command)) + " \\- " + escape(firstSentence(description)));
    section("SYNOPSIS");
    line("\\fB" + escape(CommandHelp.synopsis(command)) + "\\fR");
    section("DESCRIPTION");
    paragraphs(description);
    commands();
    options();
    footer();
    section("EXIT STATUS");
    line(
        "0: done. 1: failed. 2: wrong usage. 130: interrupted. 141: what read the output has ended. 143: ended by SIGTERM.");
    seeAlso();
    return page.toString();
  }

  private static String firstSentence(String[] description) {
    String first = description.length == 0 ? "" : description[0];
    int end = first.indexOf(". ");
    return (end < 0 ? first : first.substring(0, end)).replaceFirst("\\.$", "");
  }

  private void commands() {
    if (inner().isEmpty()) {
      return;
    }
    section("COMMANDS");
    for (CommandSpec inner : inner()) {
      entry("\\fB" + escape(inner.name()) + "\\fR", inner.usageMessage().description()[0]);
    }
  }

  /** The commands that have a page. */
  private List<CommandSpec> inner() {
    return command.subcommands().values().stream()
        .filter(each -> !each.getCommandName().equals("help"))
        .map(CommandLine::getCommandSpec)
        .toList();
  }

  private void options() {
    section("OPTIONS");
    for (PositionalParamSpec parameter : command.positionalParameters()) {
      if (!parameter.hidden()) {
        entry("\\fI" + escape(parameter.paramLabel()) + "\\fR", parameter.description());
      }
    }
    Map<String, List<OptionSpec>> groups = OptionGroups.of(command);
    groups.forEach(
        (heading, options) -> {
          if (groups.size() > 1 && !heading.isEmpty()) {
            macro("SS", heading);
          }
          options.forEach(this::option);
        });
  }

  private void option(OptionSpec option) {
    String names =
        Arrays.stream(option.names())
            .map(name -> "\\fB" + escape(name) + "\\fR")
            .collect(Collectors.joining(", "));
    String value = option.arity().max() == 0 ? "" : " \\fI" + escape(option.paramLabel()) + "\\fR";
    entry(names + value, option.description());
  }

  private void entry(String term, String... description) {
    macro("TP");
    line(term);
    line(escape(String.join(" ", description)));
  }

  private void footer() {
    boolean paragraph = false;
    for (Footer.Part part : Footer.of(command.usageMessage().footer()).parts()) {
      switch (part) {
        case Blank _ -> paragraph = true;
        case Prose(String text) when text.endsWith(":") -> section(heading(text));
        case Prose(String text) -> {
          if (paragraph) {
            macro("PP");
          }
          line(escape(text));
          paragraph = false;
        }
        case Example(String typed, String remark, String _) -> {
          macro("TP");
          line("\\fB" + escape(typed) + "\\fR");
          line(remark.isEmpty() ? "\\&" : escape(remark));
          paragraph = true;
        }
      }
    }
  }

  private static String heading(String text) {
    return text.replaceFirst(":$", "").toUpperCase(Locale.ROOT);
  }

  private void seeAlso() {
    List<String> others = new ArrayList<>();
    if (command.parent() != null) {
      others.add(name(command.parent()));
    }
    inner().stream().map(ManualPage::name).forEach(others::add);
    section("SEE ALSO");
    line(
        others.stream()
            .map(name -> "\\fB" + escape(name) + "\\fR(1)")
            .collect(Collectors.joining(", ")));
  }

  private void paragraphs(String[] texts) {
    boolean first = true;
    for (String text : texts) {
      if (!text.isBlank()) {
        if (!first) {
          macro("PP");
        }
        line(escape(text));
        first = false;
      }
    }
  }

  private void section(String title) {
    macro("SH", title);
  }

  private void macro(String name, String... arguments) {
    page.append('.').append(name);
    for (String argument : arguments) {
      page.append(" \"").append(escape(argument)).append('"');
    }
    page.append('\n');
  }

  private void line(String text) {
    page.append(text).append('\n');
  }

  /** Escapes text, so that no character is a command of the language. */
  private static String escape(String text) {
    String escaped =
        text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("\"", "\\(dq");
    return escaped.startsWith(".") ? "\\&" + escaped : escaped;
  }
}
