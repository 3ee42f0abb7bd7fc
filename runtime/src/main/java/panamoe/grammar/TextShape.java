package panamoe.grammar;

import java.util.BitSet;

/** The constraint on a string's characters: an automaton and a range of lengths. */
final class TextShape {
  /** Table lookups in the time of one step of a budget. */
  private static final int ENTRIES_A_STEP = 8;

  /** The end of a string in JSON. */
  static final int QUOTE = '"';

  private static final TextShape ANY =
      new TextShape(CharacterAutomaton.ANY, 0, Rule.Repeat.ENDLESS, null, QUOTE);

  /** Any continuation: all strings that may go on freely share it. */
  static final Rule.Text ANYTHING = ANY.start();

  private final CharacterAutomaton characters;
  private final int min;
  private final int max;

  /** By characters read, the states from which an end is still within reach; null if all are. */
  private final BitSet[] alive;

  private final int end;

  private TextShape(CharacterAutomaton characters, int min, int max, BitSet[] alive, int end) {
    this.characters = characters;
    this.min = min;
    this.max = max;
    this.alive = alive;
    this.end = end;
  }

  /**
   * The rule of such a string after its opening quote, or of plain text without escapes.
   *
   * @param characters {@link CharacterAutomaton#ANY} for any
   * @param min fewest characters
   * @param max most characters; {@link Rule.Repeat#ENDLESS} for no maximum
   * @param end {@link #QUOTE}, or the byte that ends plain text and does not occur in it
   * @throws IllegalArgumentException if the budget is exhausted
   */
  static Rule rule(CharacterAutomaton characters, int min, int max, SchemaLimits budget, int end) {
    boolean any = characters == CharacterAutomaton.ANY;
    boolean free = min == 0 && max == Rule.Repeat.ENDLESS;
    if (any && free && end == QUOTE) {
      return ANYTHING;
    }
    if (min > max) {
      return Rule.NEVER;
    }
    BitSet[] alive = any || free ? null : lengths(characters, min, max, budget);
    TextShape shape = new TextShape(characters, min, max, alive, end);
    return shape.isAlive(CharacterAutomaton.START, 0) ? shape.start() : Rule.NEVER;
  }

  /** The rest of a string after one more byte: empty after its end, null if not allowed. */
  Rule step(Rule.Text at, int value) {
    boolean between = at.partial() == CharacterBytes.START;
    if (value == end && between) {
      return at.count() >= min && characters.accepts(at.state()) ? Rule.EMPTY : null;
    }
    boolean plain = end != QUOTE && between && value < 0x80;
    int next = plain ? CharacterBytes.whole(value) : CharacterBytes.step(at.partial(), value);
    if (next == CharacterBytes.NEVER) {
      return null;
    }
    int count = after(at.count());
    if (next < CharacterBytes.NEVER) {
      int state = characters.next(at.state(), CharacterBytes.character(next));
      if (!isAlive(state, count)) {
        return null;
      }
      return end == QUOTE && min == 0 && max == Rule.Repeat.ENDLESS && characters.acceptsAny(state)
          ? ANYTHING
          : new Rule.Text(this, state, count, CharacterBytes.START);
    }
    boolean possible =
        CharacterBytes.any(
            next,
            (low, high) -> characters.any(at.state(), low, high, state -> isAlive(state, count)));
    return possible ? new Rule.Text(this, at.state(), at.count(), next) : null;
  }

  /**
   * A position in a string with the same continuations as far as a token reaches, shared by as many
   * such positions as possible: a count of characters matters only near its bounds.
   *
   * @param reach bytes of the longest token
   */
  Rule.Text alike(Rule.Text at, int reach) {
    if (characters != CharacterAutomaton.ANY || end != QUOTE) {
      return at;
    }
    if (at.count() >= min && at.count() <= max - reach) {
      return new Rule.Text(ANY, at.state(), 0, at.partial());
    }
    return at.count() <= min - reach ? new Rule.Text(this, at.state(), 0, at.partial()) : at;
  }

  private Rule.Text start() {
    return new Rule.Text(this, CharacterAutomaton.START, 0, CharacterBytes.START);
  }

  private int after(int count) {
    return max == Rule.Repeat.ENDLESS ? Math.min(count + 1, min) : count + 1;
  }

  private boolean isAlive(int state, int count) {
    return state != CharacterAutomaton.NOWHERE
        && count <= max
        && (alive == null || alive[count].get(state));
  }

  private static BitSet[] lengths(
      CharacterAutomaton characters, int min, int max, SchemaLimits budget) {
    int last = max == Rule.Repeat.ENDLESS ? min : max;
    budget.spend((last + 1L) * characters.entries() / ENTRIES_A_STEP);
    BitSet[] alive = new BitSet[last + 1];
    for (int count = last; count >= 0; count--) {
      alive[count] = new BitSet();
      BitSet then = count == last ? null : alive[count + 1];
      for (int state = 0; state < characters.states(); state++) {
        boolean ends = count >= min && characters.accepts(state);
        // Without a maximum, every remaining state reaches an end.
        boolean goesOn =
            then == null
                ? max == Rule.Repeat.ENDLESS && characters.any(state, to -> true)
                : characters.any(state, then::get);
        alive[count].set(state, ends || goesOn);
      }
      // Lengths with the same states share a set.
      alive[count] = alive[count].equals(then) ? then : alive[count];
    }
    return alive;
  }
}
