package panamoe.comm;

/**
 * The α–β cost of a link: a message of n bytes takes {@code secondsPerMessage + n / bytesPerSecond}
 * seconds.
 *
 * @param secondsPerMessage α
 * @param bytesPerSecond β
 */
public record LinkCost(double secondsPerMessage, double bytesPerSecond) {
  /** A link that takes no time. */
  public static final LinkCost FREE = new LinkCost(0, Double.POSITIVE_INFINITY);

  public LinkCost {
    if (!(secondsPerMessage >= 0) || !(bytesPerSecond > 0)) {
      throw new IllegalArgumentException(
          "a link needs seconds per message of at least 0 and bytes per second above 0, not "
              + secondsPerMessage
              + " and "
              + bytesPerSecond);
    }
  }

  double seconds(long messages, long bytes) {
    return messages * secondsPerMessage + bytes / bytesPerSecond;
  }
}
