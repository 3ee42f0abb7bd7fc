package panamoe.grammar;

import java.util.concurrent.CancellationException;

/**
 * Bounds the work for one schema, or for several together, and ends it when its thread is
 * interrupted. A step opens one rule, or looks at one stack or one table entry.
 */
class SchemaLimits {
  /** For what is made once, of no schema: on an interrupted thread too. */
  static final SchemaLimits FREE =
      new SchemaLimits() {
        @Override
        void spend(long steps) {}
      };

  /** A fraction of a second of work. */
  private static final long STEPS = 1 << 22;

  private long left = STEPS;

  /**
   * Takes steps from the budget.
   *
   * @throws IllegalArgumentException if fewer are left
   * @throws CancellationException if the thread is interrupted, which it remains
   */
  void spend(long steps) {
    left -= steps;
    if (left < 0) {
      throw new IllegalArgumentException("the automata of this schema are too large");
    }
    if (Thread.currentThread().isInterrupted()) {
      throw new CancellationException("the schema was not read to its end: interrupted");
    }
  }

  /** Refuses what no budget is enough for. */
  void overdraw() {
    spend(Long.MAX_VALUE);
  }
}
