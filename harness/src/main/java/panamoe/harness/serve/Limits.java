package panamoe.harness.serve;

import java.time.Duration;
import panamoe.io.Require;

/**
 * What a server bears.
 *
 * @param sequences texts that run at a time
 * @param queuedRequests texts that wait beside them; more are refused
 * @param queuedTokens prompt tokens of texts without a first token; more are refused, unless they
 *     are the only ones
 * @param mostWait how long the latest text may have to wait, as far as can be told; it is refused
 *     if that is longer
 * @param defaultMaxTokens most tokens of a text whose request does not say how many
 * @param bodyBytes most bytes of a request
 * @param bodiesBytes memory that the bodies of all requests may take together
 * @param slowReader how long a connection may take nothing, or have many pieces to take
 * @param ping after so much silence a comment is sent, which shows whether the client is there
 * @param shutdown how long running texts may go on when the server stops
 */
record Limits(
    int sequences,
    int queuedRequests,
    long queuedTokens,
    Duration mostWait,
    int defaultMaxTokens,
    int bodyBytes,
    long bodiesBytes,
    Duration slowReader,
    Duration ping,
    Duration shutdown) {

  static final int BODY_BYTES = 16 << 20;

  /** A quarter of the heap. */
  static final long BODIES_BYTES = Runtime.getRuntime().maxMemory() / 4;

  static final Duration ANY_WAIT = Duration.ofDays(365);
  static final Duration PING = Duration.ofSeconds(15);

  Limits {
    require("sequences", sequences, 1);
    require("max-queued-requests", queuedRequests, 0);
    require("max-queued-tokens", queuedTokens, 1);
    Require.that(mostWait.toMillis() >= 1, "--max-wait is below a millisecond");
    require("default-max-tokens", defaultMaxTokens, 1);
    require("slow-reader-timeout", Math.ceilDiv(slowReader.toMillis(), 1000), 1);
    require("shutdown-timeout", shutdown.toSeconds(), 0);
  }

  private static void require(String option, long value, long least) {
    Require.that(value >= least, "--%s is %s, expected %s or more", option, value, least);
  }
}
