package panamoe.grammar;

import static panamoe.grammar.CharacterAutomaton.ANYTHING;
import static panamoe.grammar.CharacterAutomaton.ANY_CHARACTER;

import java.util.ArrayList;
import java.util.List;
import panamoe.data.regex.CodeSet;

/**
 * Reads a pattern of JSON Schema, which is one of JavaScript's: literals, classes, groups,
 * alternatives, quantifiers, and the anchors at the ends. It is found anywhere in a string unless
 * anchored. Depth and counts are bounded.
 */
final class PatternReader {
  private static final int MAX_LENGTH = 2000;
  private static final int MAX_DEPTH = 50;
  private static final int MAX_COUNT = 1000;
  private static final int MAX_SIZE = 1_000_000;
  private static final CodeSet DIGIT = CodeSet.range('0', '9');
  private static final CodeSet WORD = set("09", "AZ", "az", "__");
  private static final CodeSet SPACE =
      set("\t\r", "  ", "\u00a0\u00a0", "\u1680\u1680", "\u2000\u200a", "\u2028\u2029")
          .union(set("\u202f\u202f", "\u205f\u205f", "\u3000\u3000", "\ufeff\ufeff"));
  private static final CodeSet LINE_END = set("\n\n", "\r\r", "\u2028\u2029");

  private final String pattern;
  private int at;
  private int depth;

  /** Characters of what was read last, as often as its counts repeat them. */
  private long size;

  private PatternReader(String pattern) {
    this.pattern = pattern;
  }

  /**
   * The rule of the strings, as characters, that a pattern is found in.
   *
   * @throws IllegalArgumentException if the pattern is malformed or not supported
   */
  static Rule rule(String pattern) {
    if (pattern.length() > MAX_LENGTH) {
      throw new IllegalArgumentException(
          "it has " + pattern.length() + " characters, at most " + MAX_LENGTH);
    }
    PatternReader reader = new PatternReader(pattern);
    List<Rule> alternatives = new ArrayList<>();
    do {
      Rule before = reader.take('^') ? Rule.EMPTY : ANYTHING;
      Rule found = reader.sequence();
      alternatives.add(Rules.sequence(before, found, reader.take('$') ? Rule.EMPTY : ANYTHING));
    } while (reader.take('|'));
    if (!reader.atEnd()) {
      throw reader.trouble(reader.peek() == ')' ? "a ) that closes nothing" : "an inner anchor $");
    }
    return Rules.choice(alternatives);
  }

  private Rule alternatives() {
    if (++depth > MAX_DEPTH) {
      throw trouble("groups nested more than " + MAX_DEPTH + " deep");
    }
    List<Rule> alternatives = new ArrayList<>();
    long sum = 0;
    do {
      alternatives.add(sequence());
      sum += size;
    } while (take('|'));
    size = sum;
    depth--;
    return Rules.choice(alternatives);
  }

  private Rule sequence() {
    List<Rule> parts = new ArrayList<>();
    long sum = 0;
    while (!atEnd() && "|)$".indexOf(peek()) < 0) {
      size = 1;
      parts.add(quantified(atom()));
      sum += size;
    }
    size = sum;
    Rule rule = Rule.EMPTY;
    for (Rule part : parts.reversed()) {
      rule = Rules.sequence(part, rule);
    }
    return rule;
  }

  private Rule atom() {
    int c = next();
    return switch (c) {
      case '(' -> group();
      case '[' -> one(characterClass());
      case '.' -> one(LINE_END.complement());
      case '\\' -> one(escaped(false));
      case '^' -> throw trouble("an inner anchor ^");
      case '*', '+', '?', '{' -> throw trouble("a quantifier of nothing");
      case '}', ']' -> throw trouble("a lone " + Character.toString(c));
      default -> one(CodeSet.of(c));
    };
  }

  private Rule group() {
    if (take('?')) {
      boolean named = take('<') && !atEnd() && peek() != '=' && peek() != '!';
      int end = named ? pattern.indexOf('>', at) : -1;
      if (end >= 0) {
        at = end + 1;
      } else if (named || !take(':')) {
        throw trouble("a group that begins with (?" + (atEnd() ? "" : Character.toString(peek())));
      }
    }
    Rule rule = alternatives();
    if (!take(')')) {
      throw trouble(atEnd() ? "a ( without its )" : "an inner anchor $");
    }
    return rule;
  }

  private Rule quantified(Rule part) {
    int min = 0;
    int max = Rule.Repeat.ENDLESS;
    if (take('+')) {
      min = 1;
    } else if (take('?')) {
      max = 1;
    } else if (take('{')) {
      min = number();
      max = !take(',') ? min : !atEnd() && peek() == '}' ? max : number();
      if (!take('}') || min > max) {
        throw trouble("such an interval");
      }
    } else if (!take('*')) {
      return part;
    }
    size *= max == Rule.Repeat.ENDLESS ? Math.max(min, 1) : max;
    if (size > MAX_SIZE) {
      throw trouble("a repetition of more than " + MAX_SIZE + " characters");
    }
    // A lazy quantifier allows the same strings.
    take('?');
    if (!atEnd() && "*+?{".indexOf(peek()) >= 0) {
      throw trouble("a quantifier of a quantifier");
    }
    Rule some = PatternRules.withoutEmpty(part);
    return Rules.repeat(some, some == part ? min : 0, max);
  }

  private CodeSet characterClass() {
    boolean negated = take('^');
    CodeSet set = CodeSet.EMPTY;
    while (!take(']')) {
      int first = at;
      CodeSet low = member();
      if (at + 1 < pattern.length() && peek() == '-' && pattern.charAt(at + 1) != ']') {
        at++;
        CodeSet high = member();
        if (!low.isSingle() || !high.isSingle() || low.changes()[0] > high.changes()[0]) {
          throw trouble("the range " + pattern.substring(first, at));
        }
        low = CodeSet.range(low.changes()[0], high.changes()[0]);
      }
      set = set.union(low);
    }
    return negated ? set.complement() : set;
  }

  private CodeSet member() {
    int c = next();
    return c == '\\' ? escaped(true) : CodeSet.of(c);
  }

  private CodeSet escaped(boolean inClass) {
    int c = next();
    return switch (c) {
      case 'd' -> DIGIT;
      case 'D' -> DIGIT.complement();
      case 'w' -> WORD;
      case 'W' -> WORD.complement();
      case 's' -> SPACE;
      case 'S' -> SPACE.complement();
      case 't' -> CodeSet.of('\t');
      case 'n' -> CodeSet.of('\n');
      case 'v' -> CodeSet.of(0x0b);
      case 'f' -> CodeSet.of('\f');
      case 'r' -> CodeSet.of('\r');
      case 'x' -> CodeSet.of(hex(2));
      case 'u' -> {
        int value = hex(4);
        if (value >= Character.MIN_SURROGATE && value <= Character.MAX_SURROGATE) {
          throw trouble("half of a surrogate pair");
        }
        yield CodeSet.of(value);
      }
      default -> {
        if (inClass && c == 'b') {
          yield CodeSet.of('\b');
        }
        if (Character.isLetterOrDigit(c)) {
          throw trouble("the escape \\" + Character.toString(c));
        }
        yield CodeSet.of(c);
      }
    };
  }

  private int hex(int digits) {
    int value = 0;
    for (int i = 0; i < digits; i++) {
      int digit = Character.digit(next(), 16);
      if (digit < 0) {
        throw trouble("a character's number that is none");
      }
      value = 16 * value + digit;
    }
    return value;
  }

  private int number() {
    int from = at;
    int value = 0;
    while (!atEnd() && peek() >= '0' && peek() <= '9') {
      value = 10 * value + next() - '0';
      if (value > MAX_COUNT) {
        throw trouble("a count above " + MAX_COUNT);
      }
    }
    if (from == at) {
      throw trouble("such an interval");
    }
    return value;
  }

  private boolean atEnd() {
    return at == pattern.length();
  }

  private int peek() {
    return pattern.codePointAt(at);
  }

  private int next() {
    if (atEnd()) {
      throw trouble("an end in the middle of something");
    }
    int c = peek();
    at += Character.charCount(c);
    return c;
  }

  private boolean take(char expected) {
    boolean found = !atEnd() && pattern.charAt(at) == expected;
    at += found ? 1 : 0;
    return found;
  }

  private static Rule one(CodeSet set) {
    return Rules.one(set.intersection(ANY_CHARACTER));
  }

  private IllegalArgumentException trouble(String what) {
    return new IllegalArgumentException(what + " is not supported (character " + at + ")");
  }

  /** The union of ranges, each written as its two ends. */
  private static CodeSet set(String... ranges) {
    CodeSet set = CodeSet.EMPTY;
    for (String range : ranges) {
      set = set.union(CodeSet.range(range.charAt(0), range.charAt(1)));
    }
    return set;
  }
}
