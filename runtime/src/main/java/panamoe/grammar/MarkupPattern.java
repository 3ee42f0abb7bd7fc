package panamoe.grammar;

import java.util.regex.Pattern;
import java.util.stream.Stream;
import panamoe.data.Markers;
import panamoe.data.regex.CodeSet;

/**
 * What is around calls, written once: as the rule of what a model may write, and as the pattern of
 * what is read, which lets more white space pass. Immutable and thread-safe.
 */
public final class MarkupPattern {
  /** Nothing. */
  public static final MarkupPattern EMPTY = new MarkupPattern(Rule.EMPTY, "");

  /** What nothing can be. */
  public static final MarkupPattern NEVER = new MarkupPattern(Rule.NEVER, "(?!)");

  private static final CodeSet LETTERS_AND_DIGITS =
      CodeSet.range('0', '9').union(CodeSet.range('A', 'Z')).union(CodeSet.range('a', 'z'));

  private final Rule rule;
  private final String pattern;

  private MarkupPattern(Rule rule, String pattern) {
    this.rule = rule;
    this.pattern = pattern;
  }

  /**
   * A text, which may have {@link Markers}. A space or a new line in it may be missing; at a dot
   * (·) a model writes nothing. White space is read at each of the three.
   */
  public static MarkupPattern of(String text) {
    return sequence(
        Stream.of(text.split("(?<=[ \n·])|(?=[ \n·])"))
            .map(
                part ->
                    switch (part) {
                      case "·" -> new MarkupPattern(Rule.EMPTY, "\\s*");
                      case " ", "\n" ->
                          new MarkupPattern(Rules.optional(Rules.literal(part)), "\\s*");
                      default -> exactly(part);
                    })
            .toArray(MarkupPattern[]::new));
  }

  /** A text as it is, which may have {@link Markers}. */
  public static MarkupPattern exactly(String text) {
    return new MarkupPattern(Rules.literal(Markers.bytes(text)), Pattern.quote(text));
  }

  /** Some letters or digits of ASCII. */
  public static MarkupPattern letters(int count) {
    return new MarkupPattern(Rules.repeat(Rules.one(LETTERS_AND_DIGITS), count, count), "\\w+");
  }

  /** One of these, or nothing. */
  public static MarkupPattern perhaps(MarkupPattern... any) {
    Rule rule = Rules.choice(Stream.of(any).map(MarkupPattern::rule).toList());
    String pattern = String.join("|", Stream.of(any).map(MarkupPattern::pattern).toList());
    return new MarkupPattern(Rules.optional(rule), "(?:" + pattern + ")?");
  }

  /** One after the other. */
  public static MarkupPattern sequence(MarkupPattern... parts) {
    MarkupPattern rest = EMPTY;
    for (int i = parts.length - 1; i >= 0; i--) {
      Rule rule = Rules.sequence(parts[i].rule, rest.rule);
      rest = new MarkupPattern(rule, parts[i].pattern + rest.pattern);
    }
    return rest;
  }

  Rule rule() {
    return rule;
  }

  /** A regular expression without groups of its own. */
  public String pattern() {
    return pattern;
  }
}
