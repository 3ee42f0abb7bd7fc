package panamoe.harness.serve.http;

import java.time.Duration;
import panamoe.io.Require;

/**
 * The load that a server accepts.
 *
 * @param defaultMaxTokens most tokens of a completion whose request gives no number
 * @param shutdown how long running requests may go on when the server stops
 */
public record Limits(Queue queue, Http http, int defaultMaxTokens, Duration shutdown) {
  /**
   * Sequences that run and wait.
   *
   * @param sequences that run at a time
   * @param waiting sequences in the queue; more are refused
   * @param tokens prompt tokens of sequences without a first token; more are refused, unless they
   *     are the only ones
   * @param maxWait a request is refused if its estimated wait is longer
   */
  public record Queue(int sequences, int waiting, long tokens, Duration maxWait) {
    public static final Duration ANY_WAIT = Duration.ofDays(365);

    public Queue {
      require("sequences", sequences, 1);
      require("max-queued-requests", waiting, 0);
      require("max-queued-tokens", tokens, 1);
      Require.that(maxWait.toMillis() >= 1, "--max-wait is below a millisecond");
    }
  }

  /**
   * Connections and the memory that their requests take.
   *
   * @param connections that may be open
   * @param idle when all are open, those that are idle for longer are closed
   * @param bodyBytes most bytes of a request
   * @param bodiesBytes memory that the bodies of all requests may take together
   * @param slowReader how long a client may leave sent bytes, or many events, unread
   * @param ping after so much silence a comment is sent, which fails if the client has gone
   */
  public record Http(
      int connections,
      Duration idle,
      int bodyBytes,
      long bodiesBytes,
      Duration slowReader,
      Duration ping) {
    public static final int BODY_BYTES = 16 << 20;

    public Http {
      require("slow-reader-timeout", Math.ceilDiv(slowReader.toMillis(), 1000), 1);
    }

    public static Http of(Duration slowReader) {
      long heap = Runtime.getRuntime().maxMemory();
      return new Http(
          HttpListener.connections(heap / 8),
          Duration.ofSeconds(5),
          BODY_BYTES,
          heap / 4,
          slowReader,
          Duration.ofSeconds(15));
    }
  }

  public Limits {
    require("default-max-tokens", defaultMaxTokens, 1);
    require("shutdown-timeout", shutdown.toSeconds(), 0);
  }

  private static void require(String option, long value, long least) {
    Require.that(value >= least, "--%s is %s, expected %s or more", option, value, least);
  }
}
