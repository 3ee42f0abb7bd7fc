package panamoe.lab.study;

/** The verdict on a claim by the part's rule. */
enum Verdict {
  HOLDS("holds"),
  PARTLY("holds partly"),
  NOT_HERE("does not hold here"),
  /** The tests show neither the claim nor its contrary. */
  UNDECIDED("is not decided by these seeds");

  private final String words;

  Verdict(String words) {
    this.words = words;
  }

  /** The first condition that is true decides; without one nothing is decided. */
  static Verdict of(boolean holds, boolean partly, boolean contrary) {
    return holds ? HOLDS : partly ? PARTLY : contrary ? NOT_HERE : UNDECIDED;
  }

  /** Of a claim that must hold twice. */
  Verdict and(Verdict other) {
    boolean some = of(HOLDS, other) || of(PARTLY, other);
    return this == other ? this : some ? PARTLY : UNDECIDED;
  }

  private boolean of(Verdict one, Verdict other) {
    return this == one || other == one;
  }

  @Override
  public String toString() {
    return words;
  }
}
