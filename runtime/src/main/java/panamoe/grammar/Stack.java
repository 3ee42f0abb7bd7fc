package panamoe.grammar;

/** Rules to be read one after the other, the next one on top. Immutable. */
final class Stack {
  final Rule top;

  /** null if the output may end after the top */
  final Stack below;

  private final int hash;

  Stack(Rule top, Stack below) {
    this.top = top;
    this.below = below;
    hash = mixed(mixed(top.hashCode()) + (below == null ? 0 : below.hash));
  }

  /** Counts that are close together would collide in a sum. */
  private static int mixed(int hash) {
    int half = (hash ^ hash >>> 16) * 0x85ebca6b;
    return half ^ half >>> 13;
  }

  @Override
  public boolean equals(Object other) {
    Stack a = this;
    Stack b = other instanceof Stack stack ? stack : null;
    while (a != b) {
      if (a == null || b == null || a.hash != b.hash || !a.top.equals(b.top)) {
        return false;
      }
      a = a.below;
      b = b.below;
    }
    return true;
  }

  @Override
  public int hashCode() {
    return hash;
  }
}
