package panamoe.data.regex;

import java.util.List;

/** A pattern as a tree. */
public sealed interface Node {
  Node EMPTY = new Sequence(List.of());

  /** Any text. */
  Node ANYTHING = new Repeat(new One(CodeSet.EMPTY.complement()), 0, Repeat.ENDLESS, true);

  /** One code point of a set. */
  record One(CodeSet set) implements Node {}

  /** A concatenation. */
  record Sequence(List<Node> parts) implements Node {}

  /** Alternatives; the first one with which the whole pattern matches is taken. */
  record Choice(List<Node> alternatives) implements Node {}

  /**
   * A repetition.
   *
   * @param max {@link #ENDLESS} for no limit
   * @param greedy true: as often as possible; false: as rarely as possible
   */
  record Repeat(Node part, int min, int max, boolean greedy) implements Node {
    public static final int ENDLESS = Integer.MAX_VALUE;
  }

  /** A look-ahead: tests whether a part matches here, or does not, without consuming text. */
  record LookAhead(Node part, boolean negative) implements Node {}

  /** The end of the text. */
  record End() implements Node {}
}
