package panamoe.grammar;

/** Bounds the work for the automata of one schema. A step looks at one stack or one table entry. */
final class Budget {
  /** A second or two of work. */
  private static final long STEPS = 1 << 23;

  private long left = STEPS;

  /**
   * Takes steps from the budget.
   *
   * @throws IllegalArgumentException if fewer are left
   */
  void spend(long steps) {
    left -= steps;
    if (left < 0) {
      throw new IllegalArgumentException("the automata of this schema are too large");
    }
  }
}
