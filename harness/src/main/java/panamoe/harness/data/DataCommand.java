package panamoe.harness.data;

import panamoe.harness.Subcommand;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code panamoe data}. */
@Command(
    name = "data",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "Prepares text for training, and makes or converts tasks for panamoe eval.",
    subcommands = {PrepareCommand.class, TasksCommand.class, ConvertCommand.class})
public final class DataCommand implements Subcommand {
  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    spec.commandLine().usage(spec.commandLine().getOut());
    return 0;
  }
}
