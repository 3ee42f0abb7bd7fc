package panamoe.data.regex;

import java.util.ArrayList;
import java.util.List;

/**
 * Parses a pattern in Oniguruma's syntax, which {@code tokenizer.json} uses. The depth is bounded,
 * because parser and compiler recurse.
 */
final class PatternParser {
  private static final int MAX_LENGTH = 10_000;
  private static final int MAX_DEPTH = 50;
  private static final int MAX_COUNT = 1000;

  private final PatternText text;
  private int depth;

  private PatternParser(String pattern) {
    text = new PatternText(pattern);
  }

  /**
   * @throws UnsupportedPatternException if the pattern is malformed or not supported
   */
  static Node parse(String pattern) {
    if (pattern.length() > MAX_LENGTH) {
      throw new UnsupportedPatternException(
          "it has " + pattern.length() + " characters, at most " + MAX_LENGTH);
    }
    PatternParser parser = new PatternParser(pattern);
    Node node = parser.alternatives(false);
    if (!parser.text.atEnd()) {
      throw parser.text.trouble("a ) that closes nothing");
    }
    return node;
  }

  private Node alternatives(boolean anyCase) {
    if (++depth > MAX_DEPTH) {
      throw text.trouble("groups nested more than " + MAX_DEPTH + " deep");
    }
    List<Node> alternatives = new ArrayList<>();
    List<Node> parts = new ArrayList<>();
    boolean ignoresCase = anyCase;
    while (!text.atEnd() && text.peek() != ')') {
      if (text.take('|')) {
        alternatives.add(sequence(parts));
        parts = new ArrayList<>();
      } else if (text.take("(?i)")) {
        // As in Oniguruma, the option applies to the rest of the group, including its further
        // alternatives.
        ignoresCase = true;
        if (!alternatives.isEmpty() || !parts.isEmpty()) {
          parts.add(alternatives(true));
        }
      } else {
        Node part = quantified(atom(ignoresCase));
        if (part != Node.EMPTY) {
          parts.add(part);
        }
      }
    }
    depth--;
    alternatives.add(sequence(parts));
    return alternatives.size() == 1 ? alternatives.getFirst() : new Node.Choice(alternatives);
  }

  private static Node sequence(List<Node> parts) {
    return switch (parts.size()) {
      case 0 -> Node.EMPTY;
      case 1 -> parts.getFirst();
      default -> new Node.Sequence(parts);
    };
  }

  private Node atom(boolean anyCase) {
    int c = text.next();
    return switch (c) {
      case '(' -> group(anyCase);
      case '[' -> new Node.One(new ClassParser(text, anyCase).parse());
      case '.' -> new Node.One(CodeSet.of('\n').complement());
      case '$' ->
          new Node.LookAhead(
              new Node.Choice(List.of(new Node.One(CodeSet.of('\n')), new Node.End())), false);
      case '\\' -> text.take('z') ? new Node.End() : escaped(anyCase);
      case '^' -> throw text.trouble("the anchor ^");
      case '*', '+', '?' -> throw text.trouble("a quantifier of nothing");
      default -> one(CodeSet.of(c), anyCase);
    };
  }

  /** Outside of brackets, {@code (?i)} does not apply to properties. */
  private Node escaped(boolean anyCase) {
    CodeSet set = text.escaped();
    return one(set, anyCase && set.isSingle());
  }

  private static Node one(CodeSet set, boolean anyCase) {
    return new Node.One(anyCase ? CodeSets.anyCase(set) : set);
  }

  private Node group(boolean anyCase) {
    Node node;
    if (text.take("?:")) {
      node = alternatives(anyCase);
    } else if (text.take("?i:")) {
      node = alternatives(true);
    } else if (text.take("?-i:")) {
      node = alternatives(false);
    } else if (text.take("?=")) {
      node = new Node.LookAhead(alternatives(anyCase), false);
    } else if (text.take("?!")) {
      node = new Node.LookAhead(alternatives(anyCase), true);
    } else if (text.take("?<=") || text.take("?<!")) {
      throw text.trouble("a look-behind");
    } else if (text.take("?>")) {
      throw text.trouble("an atomic group");
    } else if (text.take('?')) {
      throw text.trouble("a group that begins with (?" + text.rest(1));
    } else {
      node = alternatives(anyCase);
    }
    if (!text.take(')')) {
      throw text.trouble("a ( without its )");
    }
    return node;
  }

  private Node quantified(Node atom) {
    Node node = atom;
    for (int stacked = 0; ; stacked++) {
      int[] counts = counts();
      if (counts == null) {
        return node;
      }
      if (stacked == 4) {
        throw text.trouble("five quantifiers in a row");
      }
      boolean interval = counts.length == 3;
      if (interval && text.peek() == '?' && counts[0] == counts[1]) {
        throw text.trouble("{n}?");
      }
      boolean lazy = text.take('?');
      // After an interval, + is a second quantifier, not the possessive mark.
      boolean possessive = !lazy && !interval && text.take('+');
      node = repeated(node, counts[0], counts[1], !lazy);
      if (possessive) {
        node = possessive(atom, node, stacked);
      }
    }
  }

  private static Node repeated(Node part, int min, int max, boolean greedy) {
    return part == Node.EMPTY || max == 0 ? Node.EMPTY : new Node.Repeat(part, min, max, greedy);
  }

  /**
   * A possessive repetition of a single code point: a greedy one, followed by a look-ahead that no
   * further one follows (unless the maximum was reached).
   */
  private Node possessive(Node atom, Node repeat, int stacked) {
    if (stacked > 0 || !(atom instanceof Node.One one)) {
      throw text.trouble("a possessive quantifier of more than one character");
    }
    Node noMore = new Node.LookAhead(one, true);
    return repeat instanceof Node.Repeat bounded && bounded.max() == 1
        ? new Node.Choice(List.of(one, noMore))
        : new Node.Sequence(List.of(repeat, noMore));
  }

  /**
   * The least and greatest count of the quantifier here, with a third element if it is in braces;
   * null if no quantifier is here.
   */
  private int[] counts() {
    if (text.take('*')) {
      return new int[] {0, Node.Repeat.ENDLESS};
    }
    if (text.take('+')) {
      return new int[] {1, Node.Repeat.ENDLESS};
    }
    if (text.take('?')) {
      return new int[] {0, 1};
    }
    int before = text.position();
    if (text.take('{')) {
      int min = text.number(MAX_COUNT);
      boolean comma = text.take(',');
      int max = comma ? text.number(MAX_COUNT) : min;
      if (text.take('}') && (min >= 0 || max >= 0)) {
        if (max >= 0 && min > max) {
          throw text.trouble("an interval {" + min + "," + max + "}");
        }
        return new int[] {Math.max(min, 0), max < 0 ? Node.Repeat.ENDLESS : max, 0};
      }
      // Braces without an interval are literal.
      text.position(before);
    }
    return null;
  }
}
