package panamoe.data.regex;

import java.util.List;

/** A pattern as a tree. */
sealed interface Node {
  Node EMPTY = new Sequence(List.of());

  /** One code point of a set. */
  record One(CodeSet set) implements Node {}

  /** One part after the other. */
  record Sequence(List<Node> parts) implements Node {}

  /** The first alternative with which the whole pattern matches. */
  record Choice(List<Node> alternatives) implements Node {}

  /**
   * A part, again and again.
   *
   * @param max {@link #ENDLESS} for any number of times
   * @param greedy as often as possible, else as rarely
   */
  record Repeat(Node part, int min, int max, boolean greedy) implements Node {
    static final int ENDLESS = Integer.MAX_VALUE;
  }

  /** Whether a part matches from here on, or does not; takes nothing of the text. */
  record LookAhead(Node part, boolean negative) implements Node {}

  /** The end of the text. */
  record End() implements Node {}
}
