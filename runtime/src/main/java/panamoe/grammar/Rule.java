package panamoe.grammar;

import java.util.List;
import panamoe.data.regex.CodeSet;

/**
 * What may come next. Rules of a text read bytes; rules of a pattern read characters. Classes are
 * made from a schema and compared by identity. Records are made while reading too (a repetition
 * with a count, a place in a list of words or in a string) and compared by value.
 */
sealed interface Rule {
  /** No symbol. */
  Rule EMPTY = new Empty();

  /** Nothing at all; only the factories of {@link Rules} meet it, and take it away. */
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

  /** One rule, then another. */
  final class Sequence implements Rule {
    final Rule first;
    final Rule rest;

    Sequence(Rule first, Rule rest) {
      this.first = first;
      this.rest = rest;
    }
  }

  /** Any one of several rules. */
  final class Choice implements Rule {
    final List<Rule> alternatives;

    Choice(List<Rule> alternatives) {
      this.alternatives = List.copyOf(alternatives);
    }
  }

  /** The rule of a part of the schema that is referred to; its target is set before any use. */
  final class Reference implements Rule {
    final String place;
    Rule target;

    Reference(String place) {
      this.place = place;
    }
  }

  /**
   * A rule again and again.
   *
   * @param part reads at least one symbol
   * @param max {@link #ENDLESS} for no limit
   */
  record Repeat(Rule part, int min, int max) implements Rule {
    static final int ENDLESS = Integer.MAX_VALUE;

    /** What is left to do after the part. */
    Rule after() {
      int most = max == ENDLESS ? ENDLESS : max - 1;
      return most == 0 ? EMPTY : new Repeat(part, Math.max(0, min - 1), most);
    }
  }

  /**
   * Words of a list that share what is read so far.
   *
   * @param low the first of them
   * @param high after the last
   * @param depth bytes read
   */
  record Words(WordList list, int low, int high, int depth) implements Rule {}

  /**
   * The characters of a string up to and with its closing quote.
   *
   * @param state of the shape's automaton
   * @param count of characters read, where it still matters
   * @param partial what is read of a character, see {@link CharacterBytes}
   */
  record Text(TextShape shape, int state, int count, int partial) implements Rule {}
}
