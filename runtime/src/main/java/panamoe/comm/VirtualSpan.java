package panamoe.comm;

/**
 * What a rank did on the virtual clock: its part of a collective, or computing.
 *
 * @param rank in the world
 * @param what a collective, its group and location in the model, or what was computed
 * @param start s, when the rank began; includes waiting for others
 * @param end s
 * @param busy how long the rank's links moved bytes in this span
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
