package panamoe.plan;

import panamoe.comm.exchange.Strategy;

/**
 * What a system does to serve experts fast.
 *
 * @param exchange AUTO: the faster for each message
 * @param coordinated whether each tensor rank sends a part of the rows that all of them have
 * @param skipsEmpty whether experts that no token chose are left out: they are not read, and no
 *     message goes to a rank for them
 * @param overlap the parts that rows travel in while their rank computes, as {@code --overlap} of
 *     serve and train says; 0: the rank waits for them
 */
public record Optimizations(
    Strategy exchange, boolean coordinated, boolean skipsEmpty, int overlap) {
  private static final int MOST_PARTS = 64;

  /** The paper's: its times fit best if a device reads all of its experts. */
  public static final Optimizations PAPER = new Optimizations(Strategy.AUTO, true, false);

  /** Panamoe's, as it serves between devices unless told otherwise. */
  public static final Optimizations PANAMOE = new Optimizations(Strategy.AUTO, true, true);

  /** Without overlap. */
  public Optimizations(Strategy exchange, boolean coordinated, boolean skipsEmpty) {
    this(exchange, coordinated, skipsEmpty, 0);
  }

  public Optimizations with(Strategy other) {
    return new Optimizations(other, coordinated, skipsEmpty, overlap);
  }

  Optimizations uncoordinated() {
    return new Optimizations(exchange, false, skipsEmpty, overlap);
  }

  /**
   * The same with another overlap.
   *
   * @throws IllegalArgumentException if there are no such parts
   */
  public Optimizations overlapping(int parts) {
    if (parts < 0 || parts > MOST_PARTS) {
      throw new IllegalArgumentException(
          "the overlap is " + parts + ", expected 0 to " + MOST_PARTS + " parts");
    }
    return new Optimizations(exchange, coordinated, skipsEmpty, parts);
  }
}
