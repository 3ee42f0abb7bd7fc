package panamoe.lab.load;

/**
 * What became of a request. Times are in nanoseconds.
 *
 * @param firstNanos from when it was due to the first piece of its text
 * @param wholeNanos from then to its end
 * @param pieces of the text
 * @param tokens of the text
 * @param betweenNanos from each piece to the next
 * @param why it was not done, or null
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
    /** The server had no room: 429 or 503. */
    REFUSED,
    FAILED
  }

  static RequestResult without(Kind kind, String why) {
    return new RequestResult(kind, 0, 0, 0, 0, new long[0], why);
  }

  /** The mean time from piece to piece. */
  double nextNanos() {
    return pieces < 2 ? 0 : (double) (wholeNanos - firstNanos) / (pieces - 1);
  }
}
