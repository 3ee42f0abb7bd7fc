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
 * @param err for messages
 */
record Invocation(String command, PrintWriter err) {
  /**
   * @param err for messages, instead of the command's own
   */
  static Invocation of(SharedOptions shared, PrintWriter err) {
    CommandSpec root = shared.command().root();
    List<String> arguments = root.commandLine().getParseResult().originalArgs();
    return new Invocation(
        Stream.concat(Stream.of(root.name()), arguments.stream())
            .map(ShellWord::quoted)
            .collect(Collectors.joining(" ")),
        err);
  }
}
