package panamoe.harness;

import java.util.List;
import panamoe.harness.help.CommandHelp;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.UnmatchedArgumentException;

/** {@code panamoe help}, also for nested commands, unlike picocli's own. */
@Command(
    name = "help",
    description = "Display help information about the specified command.",
    footer = {"", "Examples:", "  panamoe help train --help-all", "  panamoe help data prepare"})
public final class HelpCommand implements Subcommand {
  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help message and exit.")
  private boolean help;

  @Option(names = CommandHelp.ALL, hidden = true)
  private boolean all;

  @Parameters(paramLabel = "COMMAND", description = "Its name. Default: all commands.")
  private List<String> names = List.of();

  @Override
  public Integer call() {
    CommandLine command = spec.root().commandLine();
    for (String name : names) {
      CommandLine inner = command.getSubcommands().get(name);
      if (inner == null) {
        throw new UnmatchedArgumentException(command, List.of(name));
      }
      command = inner;
    }
    if (all && command.getCommandSpec().findOption(CommandHelp.ALL) != null) {
      command.parseArgs(CommandHelp.ALL);
    }
    command.usage(spec.commandLine().getOut());
    return 0;
  }
}
