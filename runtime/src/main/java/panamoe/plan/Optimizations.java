package panamoe.plan;

import panamoe.comm.exchange.Strategy;
import panamoe.io.Require;

/**
 * The optimizations of a serving or training system.
 *
 * @param exchange AUTO takes the faster one for each message size
 * @param coordinated true if each tensor rank sends only its part of the rows that all of them hold
 * @param skipsEmpty true if experts without tokens are neither read nor sent a message
 * @param overlap parts in which rows travel while the rank computes ({@code --overlap} of serve and
 *     train); 0 means no overlap
 */
public record Optimizations(
    Strategy exchange, boolean coordinated, boolean skipsEmpty, int overlap) {
  private static final int MOST_PARTS = 64;

  /** The paper's system. Its times fit best if a device reads all of its experts. */
  public static final Optimizations PAPER = new Optimizations(Strategy.AUTO, true, false);

  /** Panamoe's defaults. */
  public static final Optimizations PANAMOE = new Optimizations(Strategy.AUTO, true, true);

  /** No overlap. */
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
   * * A copy with another overlap.
   *
   * @throws IllegalArgumentException if {@code parts} is out of range
   */
  public Optimizations overlapping(int parts) {
    Require.that(
        parts >= 0 && parts <= MOST_PARTS,
        "the overlap is %s, expected 0 to %s parts",
        parts,
        MOST_PARTS);
    return new Optimizations(exchange, coordinated, skipsEmpty, parts);
  }
}
