package panamoe.harness.serve;

/** Finds the end of a JSON object in a text that is told piece by piece. */
final class ObjectEnd {
  private int depth;
  private boolean quoted;
  private boolean escaped;
  private boolean reached;

  /** Reads a piece up to the object's end; returns how much of the piece that is. */
  int next(CharSequence piece) {
    int at = 0;
    while (at < piece.length() && !reached) {
      step(piece.charAt(at++));
    }
    return at;
  }

  private void step(char next) {
    if (quoted) {
      quoted = escaped || next != '"';
      escaped = !escaped && next == '\\';
      return;
    }
    switch (next) {
      case '"' -> quoted = true;
      case '{' -> depth++;
      case '}' -> reached = --depth == 0;
      default -> {}
    }
  }

  /** Whether the object is whole. */
  boolean reached() {
    return reached;
  }
}
