package panamoe.data.regex;

/**
 * A regular expression in Oniguruma's syntax, which {@code tokenizer.json} uses, with Perl's
 * semantics: the leftmost match, which prefers earlier alternatives and longer (if lazy, shorter)
 * repetitions. It is safe for untrusted patterns and texts: time is at worst proportional to text
 * length times pattern size, and stack and memory are bounded.
 *
 * <p>It supports literals, escapes, classes with ranges, nested classes and intersections, {@code
 * \s \d \w}, general categories and scripts by {@code \p}, alternatives, groups, {@code (?i)},
 * greedy and lazy repetitions, possessive ones of a single character, look-aheads, {@code $} and
 * {@code \z}. It refuses by name look-behind, {@code ^}, {@code \b}, back references and atomic
 * groups. Immutable and thread-safe.
 */
public final class Regex {
  private final Program program;
  private final CodeClasses classes;

  private Regex(RegexNode pattern) {
    program = new Program(pattern);
    classes = new CodeClasses(program.sets);
  }

  /**
   * @throws IllegalArgumentException if the pattern is malformed, too large or not supported
   */
  public static Regex compile(String pattern) {
    return new Regex(PatternParser.parse(pattern, Syntax.ONIGURUMA));
  }

  /** The pattern that matches a text literally. */
  public static Regex literal(String text) {
    return new Regex(
        new RegexNode.Sequence(
            text.codePoints()
                .<RegexNode>mapToObj(point -> new RegexNode.One(CodeSet.of(point)))
                .toList()));
  }

  public Matcher matcher() {
    return new Matcher(new ReverseAutomaton(program, classes));
  }
}
