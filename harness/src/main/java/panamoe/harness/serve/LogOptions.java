package panamoe.harness.serve;

import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import panamoe.harness.serve.log.AccessLog;
import panamoe.harness.serve.log.LogWriter;
import panamoe.harness.serve.log.LoggedCompletion;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.log.RequestLog;
import panamoe.io.FileErrors;
import panamoe.io.Words;
import picocli.CommandLine.Option;

/** The options for a server's logs: {@code @Mixin LogOptions logs}. */
final class LogOptions {
  @Option(
      names = "--log-requests",
      paramLabel = "DIR",
      description =
          "Log each completion with its request to a file in DIR, which panamoe replay can repeat: prompts are then on the disk.")
  private Path folder;

  @Option(
      names = "--access-log",
      paramLabel = "FILE",
      description =
          "Append a line of JSON for each request to FILE, without prompts and completions.")
  private Path file;

  /**
   * The log of completions; null without one.
   *
   * @param origin of its completions
   * @param log receives messages for the operator
   * @throws IOException with a one-sentence message, if the folder cannot be written to
   */
  RequestLog requests(LoggedCompletion.Origin origin, Metrics metrics, Consumer<String> log)
      throws IOException {
    if (folder == null) {
      return null;
    }
    try {
      return new RequestLog(folder, origin, LogWriter.QUEUE, metrics, log);
    } catch (IOException e) {
      throw new IOException(
          Words.of(
              "--log-requests %s is no folder that can be written to, and none can be made there; name another",
              folder),
          e);
    }
  }

  /**
   * The log of requests; null without one.
   *
   * @param log receives messages for the operator
   * @throws IOException with a one-sentence message, if the file cannot be written
   */
  AccessLog accesses(Metrics metrics, Consumer<String> log) throws IOException {
    if (file == null) {
      return null;
    }
    try {
      return new AccessLog(file, metrics, log);
    } catch (IOException e) {
      throw new IOException(
          Words.of("--access-log %s cannot be written: %s", file, FileErrors.reason(e)), e);
    }
  }
}
