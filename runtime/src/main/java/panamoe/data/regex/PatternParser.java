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
  public static RegexNode parse(String pattern, Syntax syntax) {
    if (pattern.length() > syntax.maxLength) {
      throw Require.refusal("it has %s characters, at most %s", pattern.length(), syntax.maxLength);
    }
    PatternParser parser = new PatternParser(pattern, syntax);
    RegexNode node = parser.alternatives(false);
    if (!parser.text.atEnd()) {
      throw parser.text.trouble("a ) that closes nothing");
    }
    return node;
  }

  private RegexNode alternatives(boolean anyCase) {
    if (++depth > MAX_DEPTH) {
      throw text.trouble("groups nested more than " + MAX_DEPTH + " deep");
    }
    List<RegexNode> alternatives = new ArrayList<>();
    List<RegexNode> parts = beginning();
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
        RegexNode part = quantified(atom(ignoresCase));
        if (part != RegexNode.EMPTY) {
          parts.add(part);
        }
      }
    }
    alternatives.add(sequence(parts));
    depth--;
    return alternatives.size() == 1 ? alternatives.getFirst() : new RegexNode.Choice(alternatives);
  }

  /** Whether the pattern is searched for, and not anchored, at this position. */
  private boolean isFound() {
    return javascript && depth == 1;
  }

  private List<RegexNode> beginning() {
    List<RegexNode> parts = new ArrayList<>();
    if (isFound() && !text.take('^')) {
      parts.add(RegexNode.ANYTHING);
    }
    return parts;
  }

  private RegexNode sequence(List<RegexNode> parts) {
    if (isFound() && (parts.isEmpty() || !(parts.getLast() instanceof RegexNode.End))) {
      parts.add(RegexNode.ANYTHING);
    }
    return switch (parts.size()) {
      case 0 -> RegexNode.EMPTY;
      case 1 -> parts.getFirst();
      default -> new RegexNode.Sequence(parts);
    };
  }

  private RegexNode atom(boolean anyCase) {
    int c = text.next();
    return switch (c) {
      case '(' -> group(anyCase);
      case '[' -> new RegexNode.One(new ClassParser(text, anyCase).parse());
      case '.' -> new RegexNode.One(text.syntax.lineEnd.complement());
      case '$' -> end();
      case '\\' -> !javascript && text.take('z') ? new RegexNode.End() : escaped(anyCase);
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

  private RegexNode end() {
    if (!javascript) {
      return new RegexNode.LookAhead(
          new RegexNode.Choice(
              List.of(new RegexNode.One(text.syntax.lineEnd), new RegexNode.End())),
          false);
    }
    if (depth > 1 || !text.atEnd() && text.peek() != '|') {
      throw text.trouble("an inner anchor $");
    }
    return new RegexNode.End();
  }

  /** Outside brackets, {@code (?i)} does not apply to properties. */
  private RegexNode escaped(boolean anyCase) {
    CodeSet set = text.escaped();
    return one(set, anyCase && set.isSingle());
  }

  private static RegexNode one(CodeSet set, boolean anyCase) {
    return new RegexNode.One(anyCase ? CodeSets.anyCase(set) : set);
  }

  private RegexNode group(boolean anyCase) {
    RegexNode node;
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
      node = new RegexNode.LookAhead(alternatives(anyCase), false);
    } else if (text.take("?!")) {
      node = new RegexNode.LookAhead(alternatives(anyCase), true);
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

  private RegexNode quantified(RegexNode atom) {
    RegexNode node = atom;
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

  private RegexNode repeated(RegexNode part, int min, int max, boolean greedy) {
    if (part == RegexNode.EMPTY || max == 0) {
      return RegexNode.EMPTY;
    }
    RegexNode repeat = new RegexNode.Repeat(part, min, max, greedy);
    if (size(repeat) > MAX_SIZE) {
      throw text.trouble("a repetition of more than " + MAX_SIZE + " characters");
    }
    return repeat;
  }

  /** The number of characters in a part, with its repetitions. */
  private static long size(RegexNode node) {
    return switch (node) {
      case RegexNode.One one -> 1;
      case RegexNode.Sequence(List<RegexNode> parts) ->
          parts.stream().mapToLong(PatternParser::size).sum();
      case RegexNode.Choice(List<RegexNode> parts) ->
          parts.stream().mapToLong(PatternParser::size).sum();
      case RegexNode.Repeat(RegexNode part, int min, int max, boolean greedy) ->
          size(part) * (max == RegexNode.Repeat.ENDLESS ? Math.max(min, 1) : max);
      case RegexNode.LookAhead(RegexNode part, boolean negative) -> size(part);
      case RegexNode.End end -> 0;
    };
  }

  /**
   * A possessive repetition of a single code point: a greedy one with a look-ahead that none
   * follows, unless the maximum was reached.
   */
  private RegexNode possessive(RegexNode atom, RegexNode repeat, int stacked) {
    if (stacked > 0 || !(atom instanceof RegexNode.One one)) {
      throw text.trouble("a possessive quantifier of more than one character");
    }
    RegexNode noMore = new RegexNode.LookAhead(one, true);
    return repeat instanceof RegexNode.Repeat bounded && bounded.max() == 1
        ? new RegexNode.Choice(List.of(one, noMore))
        : new RegexNode.Sequence(List.of(repeat, noMore));
  }

  /**
   * The minimum and maximum of the quantifier at this position, with a third element if it is in
   * braces; null if there is no quantifier.
   */
  private int[] counts() {
    if (text.take('*')) {
      return new int[] {0, RegexNode.Repeat.ENDLESS};
    }
    if (text.take('+')) {
      return new int[] {1, RegexNode.Repeat.ENDLESS};
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
        return new int[] {Math.max(min, 0), max < 0 ? RegexNode.Repeat.ENDLESS : max, 0};
      }
      // Braces without an interval are literal.
      text.position(before);
    }
    return null;
  }
}
