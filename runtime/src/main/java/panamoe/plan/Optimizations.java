package panamoe.plan;

import panamoe.comm.exchange.Strategy;

/**
 * What a system does to serve experts fast.
 *
 * @param exchange AUTO: the faster for each message
 * @param coordinated whether each tensor rank sends a part of the rows that all of them have
 * @param skipsEmpty whether experts that no token chose are left out
 */
public record Optimizations(Strategy exchange, boolean coordinated, boolean skipsEmpty) {
  /** The paper's: its times fit best if a card reads all of its experts. */
  public static final Optimizations PAPER = new Optimizations(Strategy.AUTO, true, false);

  /** Panamoe's. */
  public static final Optimizations PANAMOE = new Optimizations(Strategy.AUTO, true, true);

  Optimizations with(Strategy other) {
    return new Optimizations(other, coordinated, skipsEmpty);
  }

  Optimizations uncoordinated() {
    return new Optimizations(exchange, false, skipsEmpty);
  }
}
