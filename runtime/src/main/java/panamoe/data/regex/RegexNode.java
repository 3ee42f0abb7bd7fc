package panamoe.data.regex;

import java.util.List;

/** The syntax tree of a pattern. */
public sealed interface RegexNode {
  RegexNode EMPTY = new Sequence(List.of());

  /** Matches any string. */
  RegexNode ANYTHING = new Repeat(new One(CodeSet.EMPTY.complement()), 0, Repeat.ENDLESS, true);

  /** One code point of a set. */
  record One(CodeSet set) implements RegexNode {}

  record Sequence(List<RegexNode> parts) implements RegexNode {}

  /** Alternatives; the first with which the whole pattern matches is chosen. */
  record Choice(List<RegexNode> alternatives) implements RegexNode {}

  /**
   * A repetition.
   *
   * @param max {@link #ENDLESS} for no maximum
   * @param greedy true: as often as possible; false: as rarely as possible
   */
  record Repeat(RegexNode part, int min, int max, boolean greedy) implements RegexNode {
    public static final int ENDLESS = Integer.MAX_VALUE;
  }

  /** A look-ahead: tests whether a part matches here, or does not, without consuming text. */
  record LookAhead(RegexNode part, boolean negative) implements RegexNode {}

  /** The end of the text. */
  record End() implements RegexNode {}
}
