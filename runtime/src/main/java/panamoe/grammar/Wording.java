package panamoe.grammar;

import java.util.regex.Pattern;
import java.util.stream.Stream;
import panamoe.data.Markers;
import panamoe.data.regex.CodeSet;

/**
 * What is around calls, written once: as the rule of what a model may write, and as the pattern of
 * what is read, which lets more white space pass. Immutable and thread-safe.
 */
public final class Wording {
  /** Nothing. */
  public static final Wording EMPTY = new Wording(Rule.EMPTY, "");

  /** What nothing can be. */
  public static final Wording NEVER = new Wording(Rule.NEVER, "(?!)");

  private static final CodeSet LETTERS_AND_DIGITS =
      CodeSet.range('0', '9').union(CodeSet.range('A', 'Z')).union(CodeSet.range('a', 'z'));

  private final Rule rule;
  private final String pattern;

  private Wording(Rule rule, String pattern) {
    this.rule = rule;
    this.pattern = pattern;
  }

  /**
   * A text, which may have {@link Markers}. A space or a new line in it may be missing; at a dot
   * (·) a model writes nothing. White space is read at each of the three.
   */
  public static Wording of(String text) {
    return sequence(
        Stream.of(text.split("(?<=[ \n·])|(?=[ \n·])"))
            .map(
                part ->
                    switch (part) {
                      case "·" -> new Wording(Rule.EMPTY, "\\s*");
                      case " ", "\n" -> new Wording(Rules.optional(Rules.literal(part)), "\\s*");
                      default -> exactly(part);
                    })
            .toArray(Wording[]::new));
  }

  /** A text as it is, which may have {@link Markers}. */
  public static Wording exactly(String text) {
    return new Wording(Rules.literal(Markers.bytes(text)), Pattern.quote(text));
  }

  /** Some letters or digits of ASCII. */
  public static Wording letters(int count) {
    return new Wording(Rules.repeat(Rules.one(LETTERS_AND_DIGITS), count, count), "\\w+");
  }

  /** One of these, or nothing. */
  public static Wording perhaps(Wording... any) {
    Rule rule = Rules.choice(Stream.of(any).map(Wording::rule).toList());
    String pattern = String.join("|", Stream.of(any).map(Wording::pattern).toList());
    return new Wording(Rules.optional(rule), "(?:" + pattern + ")?");
  }

  /** One after the other. */
  public static Wording sequence(Wording... parts) {
    Wording rest = EMPTY;
    for (int i = parts.length - 1; i >= 0; i--) {
      Rule rule = Rules.sequence(parts[i].rule, rest.rule);
      rest = new Wording(rule, parts[i].pattern + rest.pattern);
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
