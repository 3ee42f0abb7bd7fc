package panamoe.lab.study;

/** The verdict on a claim by the part's rule. */
enum Verdict {
  HOLDS("holds"),
  PARTLY("holds partly"),
  NOT_HERE("does not hold here");

  private final String words;

  Verdict(String words) {
    this.words = words;
  }

  /** The first condition that is true decides. */
  static Verdict of(boolean holds, boolean partly) {
    return holds ? HOLDS : partly ? PARTLY : NOT_HERE;
  }

  @Override
  public String toString() {
    return words;
  }
}
