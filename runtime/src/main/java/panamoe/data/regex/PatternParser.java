package panamoe.data.regex;

import java.util.ArrayList;
import java.util.List;
import panamoe.io.Require;

/** Parses a pattern. The depth is bounded, because parser and compiler recurse. */
public final class PatternParser {
  private static final int MAX_DEPTH = 50;
  private static final int MAX_COUNT = 1000;
  private static final int MAX_SIZE = 1_000_000;

  private final PatternText text;
  private final boolean javascript;
  private int depth;

  private PatternParser(String pattern, Syntax syntax) {
    text = new PatternText(pattern, syntax);
    javascript = syntax == Syntax.JAVASCRIPT;
  }

  /**
   * @throws IllegalArgumentException if the pattern is malformed or not supported
   */
  public static Node parse(String pattern, Syntax syntax) {
    if (pattern.length() > syntax.maxLength) {
      throw Require.refusal("it has %s characters, at most %s", pattern.length(), syntax.maxLength);
    }
    PatternParser parser = new PatternParser(pattern, syntax);
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
    List<Node> parts = beginning();
    boolean ignoresCase = anyCase;
    while (!text.atEnd() && text.peek() != ')') {
      if (text.take('|')) {
        alternatives.add(sequence(parts));
        parts = beginning();
      } else if (!javascript && text.take("(?i)")) {
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
    alternatives.add(sequence(parts));
    depth--;
    return alternatives.size() == 1 ? alternatives.getFirst() : new Node.Choice(alternatives);
  }

  /** Whether what stands here is found anywhere in a text unless anchored. */
  private boolean isFound() {
    return javascript && depth == 1;
  }

  private List<Node> beginning() {
    List<Node> parts = new ArrayList<>();
    if (isFound() && !text.take('^')) {
      parts.add(Node.ANYTHING);
    }
    return parts;
  }

  private Node sequence(List<Node> parts) {
    if (isFound() && (parts.isEmpty() || !(parts.getLast() instanceof Node.End))) {
      parts.add(Node.ANYTHING);
    }
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
      case '.' -> new Node.One(text.syntax.lineEnd.complement());
      case '$' -> end();
      case '\\' -> !javascript && text.take('z') ? new Node.End() : escaped(anyCase);
      case '^' -> throw text.trouble(javascript ? "an inner anchor ^" : "the anchor ^");
      case '*', '+', '?' -> throw text.trouble("a quantifier of nothing");
      default -> {
        if (javascript && "{}]".indexOf(c) >= 0) {
          throw text.trouble("a lone " + Character.toString(c));
        }
        yield one(CodeSet.of(c), anyCase);
      }
    };
  }

  private Node end() {
    if (!javascript) {
      return new Node.LookAhead(
          new Node.Choice(List.of(new Node.One(text.syntax.lineEnd), new Node.End())), false);
    }
    if (depth > 1 || !text.atEnd() && text.peek() != '|') {
      throw text.trouble("an inner anchor $");
    }
    return new Node.End();
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
    } else if (javascript && text.take('?')) {
      if (!text.takeName()) {
        throw text.trouble("a group that begins with (?" + text.rest(1));
      }
      node = alternatives(false);
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
      if (stacked == (javascript ? 1 : 4)) {
        throw text.trouble(javascript ? "two quantifiers in a row" : "five quantifiers in a row");
      }
      boolean interval = counts.length == 3;
      if (!javascript && interval && text.peek() == '?' && counts[0] == counts[1]) {
        throw text.trouble("{n}?");
      }
      boolean lazy = text.take('?');
      // After an interval, + is a second quantifier, not the possessive mark.
      boolean possessive = !javascript && !lazy && !interval && text.take('+');
      node = repeated(node, counts[0], counts[1], !lazy);
      if (possessive) {
        node = possessive(atom, node, stacked);
      }
    }
  }

  private Node repeated(Node part, int min, int max, boolean greedy) {
    if (part == Node.EMPTY || max == 0) {
      return Node.EMPTY;
    }
    Node repeat = new Node.Repeat(part, min, max, greedy);
    if (size(repeat) > MAX_SIZE) {
      throw text.trouble("a repetition of more than " + MAX_SIZE + " characters");
    }
    return repeat;
  }

  /** The characters of a part, as often as its counts repeat them. */
  private static long size(Node node) {
    return switch (node) {
      case Node.One one -> 1;
      case Node.Sequence(List<Node> parts) -> parts.stream().mapToLong(PatternParser::size).sum();
      case Node.Choice(List<Node> parts) -> parts.stream().mapToLong(PatternParser::size).sum();
      case Node.Repeat(Node part, int min, int max, boolean greedy) ->
          size(part) * (max == Node.Repeat.ENDLESS ? Math.max(min, 1) : max);
      case Node.LookAhead(Node part, boolean negative) -> size(part);
      case Node.End end -> 0;
    };
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
      if (text.take('}') && (min >= 0 || max >= 0 && !javascript)) {
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
