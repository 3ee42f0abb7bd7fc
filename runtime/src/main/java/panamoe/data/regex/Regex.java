package panamoe.data.regex;

/**
 * A regular expression in the syntax of {@code tokenizer.json}, that is Oniguruma's, with Perl's
 * meaning: of the matches that begin first, the one that prefers earlier alternatives and longer
 * (or, if lazy, shorter) repetitions. It is made for patterns and texts that nobody vouches for:
 * time is proportional to the text's length times, at worst, the pattern's size, and neither stack
 * nor memory run out.
 *
 * <p>Offered are literals, escapes, classes with ranges, nested classes and intersections, {@code
 * \s \d \w}, general categories and scripts by {@code \p}, alternatives, groups, {@code (?i)},
 * greedy and lazy repetitions, possessive ones of a single character, look-aheads, {@code $} and
 * {@code \z}. What would need to look back or to remember (look-behind, {@code ^}, {@code \b}, back
 * references, atomic groups) is refused by name. Immutable and thread-safe.
 */
public final class Regex {
  private final Program program;
  private final CodeClasses classes;

  private Regex(Node pattern) {
    program = new Program(pattern);
    classes = new CodeClasses(program.sets);
  }

  /**
   * @throws UnsupportedPatternException if the pattern is malformed, too large or not supported
   */
  public static Regex compile(String pattern) {
    return new Regex(PatternParser.parse(pattern));
  }

  /** The pattern that matches a text itself. */
  public static Regex literal(String text) {
    return new Regex(
        new Node.Sequence(
            text.codePoints().<Node>mapToObj(point -> new Node.One(CodeSet.of(point))).toList()));
  }

  public Matcher matcher() {
    return new Matcher(new Viability(program, classes));
  }
}
