package panamoe.comm;

import panamoe.io.Require;

/**
 * The α–β cost of messages over links of one kind. Posting a message takes {@code
 * secondsPerMessage}; n bytes take {@code n / bytesPerSecond}, and arrive {@code latency} later.
 *
 * @param latency s, once for messages in flight at the same time
 * @param secondsPerMessage α
 * @param bytesPerSecond 1/β, per rank, in each direction
 */
public record LinkCost(double latency, double secondsPerMessage, double bytesPerSecond) {
  /** A link that takes no time. */
  public static final LinkCost FREE = new LinkCost(0, 0, Double.POSITIVE_INFINITY);

  public LinkCost {
    if (!(latency >= 0) || !(secondsPerMessage >= 0) || !(bytesPerSecond > 0)) {
      throw Require.refusal(
          "a link needs a latency and seconds per message of at least 0, and bytes per second"
              + " above 0, not %s, %s and %s",
          latency, secondsPerMessage, bytesPerSecond);
    }
  }
}
