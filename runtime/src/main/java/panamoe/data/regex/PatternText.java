package panamoe.data.regex;

import panamoe.io.Require;

/** A pattern with a read position; parses the escapes that classes and patterns share. */
final class PatternText {
  final Syntax syntax;
  private final String pattern;
  private int at;

  PatternText(String pattern, Syntax syntax) {
    this.pattern = pattern;
    this.syntax = syntax;
  }

  boolean atEnd() {
    return at == pattern.length();
  }

  /** The next code point; -1 at the end. */
  int peek() {
    return atEnd() ? -1 : pattern.codePointAt(at);
  }

  int next() {
    if (atEnd()) {
      throw trouble("an end in the middle of something");
    }
    int c = pattern.codePointAt(at);
    at += Character.charCount(c);
    return c;
  }

  boolean take(char expected) {
    boolean found = peek() == expected;
    at += found ? 1 : 0;
    return found;
  }

  boolean take(String expected) {
    boolean found = pattern.startsWith(expected, at);
    at += found ? expected.length() : 0;
    return found;
  }

  /** Reads the name of a group with its brackets. */
  boolean takeName() {
    int end = pattern.startsWith("<", at) ? pattern.indexOf('>', at) : -1;
    boolean found = end >= 0 && "=!".indexOf(pattern.charAt(at + 1)) < 0;
    at = found ? end + 1 : at;
    return found;
  }

  int position() {
    return at;
  }

  void position(int position) {
    at = position;
  }

  /** At most {@code count} of the following characters. */
  String rest(int count) {
    return pattern.substring(at, Math.min(pattern.length(), at + count));
  }

  /** The decimal number at this position; -1 if there is no digit. */
  int number(int max) {
    int value = -1;
    while (peek() >= '0' && peek() <= '9') {
      value = 10 * Math.max(value, 0) + next() - '0';
      if (value > max) {
        throw trouble("a count above " + max);
      }
    }
    return value;
  }

  /** The set of the escape after a backslash: one character, or a class. */
  CodeSet escaped() {
    int c = next();
    boolean javascript = syntax == Syntax.JAVASCRIPT;
    if (javascript && "aepP".indexOf(c) >= 0) {
      throw trouble("the escape \\" + Character.toString(c));
    }
    return switch (c) {
      case 'n' -> CodeSet.of('\n');
      case 'r' -> CodeSet.of('\r');
      case 't' -> CodeSet.of('\t');
      case 'f' -> CodeSet.of('\f');
      case 'v' -> CodeSet.of(0x0b);
      case 'a' -> CodeSet.of(7);
      case 'e' -> CodeSet.of(0x1b);
      case 's' -> syntax.space;
      case 'S' -> syntax.space.complement();
      case 'd' -> syntax.digit;
      case 'D' -> syntax.digit.complement();
      case 'w' -> syntax.word;
      case 'W' -> syntax.word.complement();
      case 'p' -> property(false);
      case 'P' -> property(true);
      case 'x' ->
          CodeSet.of(
              !javascript && take('{') ? hex(1, 8, true) : hex(javascript ? 2 : 1, 2, false));
      case 'u' -> CodeSet.of(hex(4, 4, false));
      default -> {
        if (Character.isLetterOrDigit(c)) {
          throw trouble("the escape \\" + Character.toString(c));
        }
        yield CodeSet.of(c);
      }
    };
  }

  private CodeSet property(boolean negated) {
    if (!take('{')) {
      throw trouble("a \\p without braces");
    }
    boolean inverted = negated ^ take('^');
    int end = pattern.indexOf('}', at);
    if (end < 0) {
      throw trouble("a \\p{ without its }");
    }
    String name = pattern.substring(at, end);
    at = end + 1;
    CodeSet set = CodeSets.property(name);
    if (set == null) {
      throw trouble("the property " + (name.length() > 40 ? name.substring(0, 40) + "..." : name));
    }
    return inverted ? set.complement() : set;
  }

  private int hex(int least, int most, boolean braces) {
    int value = 0;
    int digits = 0;
    while (digits < most && peek() >= 0 && peek() < 0x80 && Character.digit(peek(), 16) >= 0) {
      value = 16 * value + Character.digit(next(), 16);
      digits++;
      if (value > Character.MAX_CODE_POINT) {
        throw trouble("a character beyond U+10FFFF");
      }
    }
    if (digits < least || braces && !take('}')) {
      throw trouble("a character's number that is none");
    }
    if (value >= Character.MIN_SURROGATE && value <= Character.MAX_SURROGATE) {
      throw trouble("half of a surrogate pair");
    }
    return value;
  }

  IllegalArgumentException trouble(String what) {
    String line = what.replaceAll("[\\p{Cntrl}\\p{Cs}\\p{Zl}\\p{Zp}\u0085]", "?");
    return Require.refusal("%s is not supported (character %s)", line, at);
  }
}
