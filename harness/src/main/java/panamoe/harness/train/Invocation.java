package panamoe.harness.train;

import java.io.PrintWriter;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.harness.SharedOptions;
import panamoe.harness.ShellWord;
import picocli.CommandLine.Model.CommandSpec;

/**
 * The command that trains a run.
 *
 * @param command quoted for a shell
 * @param again the command that continues the run after it was stopped
 * @param samples whether it shows at each quarter of the steps what the model writes
 * @param err for messages
 */
record Invocation(String command, String again, boolean samples, PrintWriter err) {
  /**
   * @param err for messages, instead of the command's own
   */
  static Invocation of(SharedOptions shared, PrintWriter err) {
    CommandSpec root = shared.command().root();
    List<String> arguments = root.commandLine().getParseResult().originalArgs();
    String name = shared.command().name();
    return new Invocation(
        Stream.concat(Stream.of(root.name()), arguments.stream())
            .map(ShellWord::quoted)
            .collect(Collectors.joining(" ")),
        name + " --resume",
        false,
        err);
  }

  /** This invocation of a command that is repeated to continue, and that shows samples. */
  Invocation repeated() {
    return new Invocation(command, "the same command", true, err);
  }
}
