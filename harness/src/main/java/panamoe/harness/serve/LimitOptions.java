package panamoe.harness.serve;

import java.time.Duration;
import panamoe.harness.help.OptionGroup;
import panamoe.harness.serve.http.Limits;
import picocli.CommandLine.Option;

/** The options for a server's limits: {@code @Mixin LimitOptions limits}. */
@OptionGroup("Limits")
final class LimitOptions {
  @Option(
      names = "--default-max-tokens",
      paramLabel = "N",
      description =
          "Most tokens of a completion whose request gives no number. Default: what the context has room for.")
  private int defaultMaxTokens = Integer.MAX_VALUE;

  @Option(
      names = "--max-queued-requests",
      paramLabel = "N",
      defaultValue = "256",
      description =
          "Most sequences that wait; others are refused with 429. Default: ${DEFAULT-VALUE}.")
  private int queuedRequests;

  @Option(
      names = "--max-queued-tokens",
      paramLabel = "N",
      description = "Most tokens of prompts that wait. Default: any number.")
  private long queuedTokens = Long.MAX_VALUE;

  @Option(
      names = "--max-wait",
      paramLabel = "SECONDS",
      defaultValue = "0",
      description =
          "A request with a longer estimated wait is refused with 429; 0 for no limit. Default: ${DEFAULT-VALUE}.")
  private double maxWait;

  @Option(
      names = "--slow-reader-timeout",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description =
          "A client that takes nothing for so long is cut off. Default: ${DEFAULT-VALUE}.")
  private int slowReader;

  @Option(
      names = "--shutdown-timeout",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description =
          "How long running requests may go on after SIGTERM or Ctrl-C. Default: ${DEFAULT-VALUE}.")
  private int shutdown;

  /**
   * The limits of a server for {@code sequences} at a time.
   *
   * @throws IllegalArgumentException if an option is out of range
   */
  Limits limits(int sequences) {
    Duration wait =
        maxWait == 0 ? Limits.Queue.ANY_WAIT : Duration.ofMillis((long) (1000 * maxWait));
    return new Limits(
        new Limits.Queue(sequences, queuedRequests, queuedTokens, wait),
        Limits.Http.of(Duration.ofSeconds(slowReader)),
        defaultMaxTokens,
        Duration.ofSeconds(shutdown));
  }
}
