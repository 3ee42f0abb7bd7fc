package panamoe.lab.load;

/**
 * The result of a request. Times are in nanoseconds.
 *
 * @param firstNanos from its due time to the first chunk
 * @param wholeNanos from its due time to its end
 * @param pieces number of chunks
 * @param tokens of the completion
 * @param betweenNanos between consecutive chunks
 * @param why the reason of a failure, or null
 */
record RequestResult(
    Kind kind,
    long firstNanos,
    long wholeNanos,
    int pieces,
    int tokens,
    long[] betweenNanos,
    String why) {
  enum Kind {
    DONE,
    /** The server was full: status 429 or 503. */
    REFUSED,
    FAILED
  }

  static RequestResult without(Kind kind, String why) {
    return new RequestResult(kind, 0, 0, 0, 0, new long[0], why);
  }

  /** The mean time between chunks. */
  double nextNanos() {
    return pieces < 2 ? 0 : (double) (wholeNanos - firstNanos) / (pieces - 1);
  }
}
