package panamoe.grammar;

import java.util.concurrent.CancellationException;

/**
 * A budget of steps for one schema, or for several together; it also ends the work when the thread
 * is interrupted. A step opens a rule, or looks at one stack or table entry.
 */
class SchemaLimits {
  /** No budget, and no interruption: for what is created once. */
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
   * @throws IllegalArgumentException if fewer steps are left
   * @throws CancellationException if the thread is interrupted; its interrupt status stays set
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

  /** Refuses what exceeds every budget. */
  void overdraw() {
    spend(Long.MAX_VALUE);
  }
}
