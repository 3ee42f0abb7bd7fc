package panamoe.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import panamoe.harness.HelpCommand;
import panamoe.harness.Main;
import panamoe.harness.help.CommandHelp;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

class CommandHelpTest {
  private static final int WIDTH = 80;

  @Command(
      name = "write",
      footer = {
        "Examples:",
        "  write --first a --second b   which is short",
        "  write --first a-long-value --second \"another long value\" --third c -o   and a remark on it",
        "",
        "A sentence that is broken",
        "where a line of the source ends.",
      })
  private static final class Example {}

  private static Stream<CommandLine> commands(CommandLine command) {
    return Stream.concat(
        Stream.of(command),
        command.getSubcommands().values().stream().flatMap(CommandHelpTest::commands));
  }

  private static Stream<CommandLine> commands() {
    return commands(Main.commandLine().setUsageHelpAutoWidth(false).setUsageHelpWidth(WIDTH));
  }

  @Test
  void everyHelpFitsATerminal() {
    commands()
        .forEach(
            command ->
                assertEquals(
                    List.of(),
                    command
                        .getUsageMessage()
                        .lines()
                        .filter(line -> line.length() > WIDTH)
                        .toList(),
                    command.getCommandSpec().qualifiedName()));
  }

  @Test
  void everyOptionIsToldOnceUnderItsHeading() {
    commands()
        .filter(command -> !(command.getCommand() instanceof HelpCommand))
        .forEach(
            command -> {
              List<String> lines = whole(command).lines().toList();
              for (OptionSpec option : command.getCommandSpec().options()) {
                String name = option.longestName();
                assertEquals(
                    option.hidden() ? 0 : 1,
                    lines.stream()
                        .filter(
                            line -> line.matches("(  -\\w, | {6})" + name + "([=\\[].*| {2,}.*)?"))
                        .count(),
                    command.getCommandSpec().qualifiedName() + " " + name);
              }
            });
  }

  /** The help with the options for ranks. */
  private static String whole(CommandLine command) {
    if (command.getCommandSpec().findOption("--help-all") != null) {
      List<String> words =
          new ArrayList<>(List.of(command.getCommandSpec().qualifiedName().split(" ")));
      words.add("--help-all");
      command
          .getCommandSpec()
          .root()
          .commandLine()
          .parseArgs(words.subList(1, words.size()).toArray(String[]::new));
    }
    return command.getUsageMessage();
  }

  @Test
  void theHelpOfTrainBeginsWithTheTextAndLeavesRanksToHelpAll() {
    CommandLine train = Main.commandLine().getSubcommands().get("train");
    String help = train.getUsageMessage();
    assertTrue(help.startsWith("Usage: panamoe train [OPTIONS] --out=DIR\n"), help);
    List<String> options =
        help.lines()
            .filter(line -> line.matches("( {6}|  -\\w, )--.*"))
            .map(String::strip)
            .toList();
    assertTrue(options.get(0).startsWith("--text=PATH "), help);
    assertTrue(options.get(1).startsWith("--languages="), help);
    assertTrue(help.contains("\n      --help-all "), help);
    assertFalse(help.contains("\n      --ranks"), help);
    String all = whole(train);
    int ranks = all.indexOf("\nRanks:\n");
    assertTrue(all.indexOf("--preset") < ranks && ranks < all.indexOf("--ranks=N"), all);
  }

  @Test
  void noHelpHasAFormatsPercentOrAnUnfinishedSentence() {
    commands()
        .forEach(
            command -> {
              String name = command.getCommandSpec().qualifiedName();
              assertFalse(whole(command).contains("%%"), name);
              String first = command.getCommandSpec().usageMessage().description()[0];
              assertTrue(first.endsWith("."), name + ": " + first);
            });
  }

  @Test
  void aShortNameIsTheSameOptionEverywhere() {
    Map<String, String> longNames =
        Map.of(
            "-m",
            "--model",
            "-o",
            "--out",
            "-p",
            "--prompt",
            "-f",
            "--prompt-file",
            "-n",
            "--max-tokens");
    Set<String> everywhere = Set.of("--model", "--out", "--max-tokens");
    commands()
        .flatMap(command -> command.getCommandSpec().options().stream())
        .filter(option -> !Set.of("--help", "--version").contains(option.longestName()))
        .forEach(
            option -> {
              String name = option.shortestName();
              if (name.length() == 2 || everywhere.contains(option.longestName())) {
                assertEquals(longNames.get(name), option.longestName());
              }
            });
  }

  @Test
  void examplesAreBrokenAsAShellTakesThem() {
    CommandSpec command = CommandSpec.forAnnotatedObject(new Example());
    command.usageMessage().width(60);
    String footer =
        new CommandHelp(command, CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF))
            .footer();
    assertEquals(
        """
        Examples:
          write --first a --second b
              which is short
          write --first a-long-value --second "another long value" \\
              --third c -o
              and a remark on it

        A sentence that is broken where a line of the source ends.
        """,
        footer);
  }
}
