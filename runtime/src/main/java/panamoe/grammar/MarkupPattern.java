package panamoe.grammar;

import java.util.regex.Pattern;
import java.util.stream.Stream;
import panamoe.data.Markers;
import panamoe.data.regex.CodeSet;

/**
 * Markup around calls, in two forms: the rule that constrains output, and the regular expression
 * that reads it, which accepts more white space. Immutable and thread-safe.
 */
public final class MarkupPattern {
  /** Matches the empty string. */
  public static final MarkupPattern EMPTY = new MarkupPattern(Rule.EMPTY, "");

  /** Matches nothing. */
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
   * Text with {@link Markers}. A space or new line in it is optional for the model; at a dot (·)
   * the model writes nothing. The reader accepts any white space at all three.
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

  /** Exactly this text, with {@link Markers}. */
  public static MarkupPattern exactly(String text) {
    return new MarkupPattern(Rules.literal(Markers.bytes(text)), Pattern.quote(text));
  }

  /** A number of ASCII letters or digits. */
  public static MarkupPattern letters(int count) {
    return new MarkupPattern(Rules.repeat(Rules.one(LETTERS_AND_DIGITS), count, count), "\\w+");
  }

  /** One of these, or nothing. */
  public static MarkupPattern perhaps(MarkupPattern... any) {
    Rule rule = Rules.choice(Stream.of(any).map(MarkupPattern::rule).toList());
    String pattern = String.join("|", Stream.of(any).map(MarkupPattern::pattern).toList());
    return new MarkupPattern(Rules.optional(rule), "(?:" + pattern + ")?");
  }

  /** All parts in order. */
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

  /** A regular expression without capturing groups. */
  public String pattern() {
    return pattern;
  }
}
