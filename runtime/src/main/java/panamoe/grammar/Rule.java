package panamoe.grammar;

import java.util.List;
import panamoe.data.regex.CodeSet;

/**
 * What may come next. Rules of output read bytes; rules of patterns read characters. Classes are
 * created from a schema and compared by identity. Records are created while reading too (a
 * repetition's count, a position in a word list or a string) and compared by value.
 */
sealed interface Rule {
  /** The empty output. */
  Rule EMPTY = new Empty();

  /** No output at all. Only the factories of {@link Rules} see it, and remove it. */
  Rule NEVER = new Never();

  /** See {@link #EMPTY}. */
  final class Empty implements Rule {
    private Empty() {}
  }

  /** See {@link #NEVER}. */
  final class Never implements Rule {
    private Never() {}
  }

  /** One symbol of a set. */
  final class One implements Rule {
    final CodeSet set;

    One(CodeSet set) {
      this.set = set;
    }
  }

  final class Sequence implements Rule {
    final Rule first;
    final Rule rest;

    Sequence(Rule first, Rule rest) {
      this.first = first;
      this.rest = rest;
    }
  }

  final class Choice implements Rule {
    final List<Rule> alternatives;

    Choice(List<Rule> alternatives) {
      this.alternatives = List.copyOf(alternatives);
    }
  }

  /** A referenced part of the schema; its target is set before the first use. */
  final class Reference implements Rule {
    final String place;
    Rule target;

    Reference(String place) {
      this.place = place;
    }
  }

  /**
   * A repetition.
   *
   * @param part reads at least one symbol
   * @param max {@link #ENDLESS} for no maximum
   */
  record Repeat(Rule part, int min, int max) implements Rule {
    static final int ENDLESS = Integer.MAX_VALUE;

    /** The repetition after one part. */
    Rule after() {
      int most = max == ENDLESS ? ENDLESS : max - 1;
      return most == 0 ? EMPTY : new Repeat(part, Math.max(0, min - 1), most);
    }
  }

  /**
   * The words of a list that share what was read so far.
   *
   * @param low index of the first
   * @param high index after the last
   * @param depth bytes read
   */
  record Words(WordList list, int low, int high, int depth) implements Rule {}

  /** Text of many symbols, which is the same in all surroundings. */
  sealed interface Run extends Rule {
    /** The rest after one more byte: empty after its end, null if the byte is not allowed. */
    Rule step(int value);
  }

  /**
   * Any text up to a marker, and the marker.
   *
   * @param end the marker's bytes, each a char
   * @param matched how many of them the text ends with
   */
  record Until(String end, int matched) implements Run {
    @Override
    public Rule step(int value) {
      if (value == end.charAt(matched)) {
        return matched + 1 == end.length() ? EMPTY : new Until(end, matched + 1);
      }
      // A special token is read whole, and only the marker itself may be one.
      if (end.charAt(0) > CharacterBytes.LAST && matched > 0 || value > CharacterBytes.LAST) {
        return null;
      }
      String text = end.substring(0, matched) + (char) value;
      int from = 1;
      while (!end.startsWith(text.substring(from))) {
        from++;
      }
      return from == text.length() && matched == 0 ? this : new Until(end, text.length() - from);
    }
  }

  /**
   * The rest of a string, including the closing quote, or the first byte of another end.
   *
   * @param state of the shape's automaton
   * @param count of characters read, as far as it matters
   * @param partial state within a character, see {@link CharacterBytes}
   */
  record Text(TextShape shape, int state, int count, int partial) implements Run {
    @Override
    public Rule step(int value) {
      return shape.step(this, value);
    }
  }
}
