package panamoe.comm;

/**
 * What a rank did on the virtual clock: its part of a collective, or computing.
 *
 * @param rank in the world
 * @param what it was: a collective, its group and its place in the model, or what was computed
 * @param start s, when the rank began; it may have waited for others since
 * @param end s
 * @param busy how long the rank's links moved bytes meanwhile
 */
public record VirtualSpan(int rank, String what, double start, double end, LinkTimes busy) {
  /**
   * Seconds that a rank's links moved bytes.
   *
   * @param nearOut to ranks of its node
   * @param nearIn from ranks of its node
   * @param farOut to other nodes
   * @param farIn from other nodes
   */
  public record LinkTimes(double nearOut, double nearIn, double farOut, double farIn) {
    /** Of computing. */
    public static final LinkTimes NONE = new LinkTimes(0, 0, 0, 0);

    public LinkTimes plus(LinkTimes other) {
      return new LinkTimes(
          nearOut + other.nearOut,
          nearIn + other.nearIn,
          farOut + other.farOut,
          farIn + other.farIn);
    }
  }
}
