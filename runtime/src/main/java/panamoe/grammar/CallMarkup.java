package panamoe.grammar;

import static panamoe.grammar.Rules.sequence;

import java.util.List;

/**
 * The markup around function calls, and before an answer without calls. Immutable and thread-safe.
 *
 * @param openings the openers in free text, before a first name; with {@link panamoe.data.Markers}
 * @param before the end of the prompt, with which an opener may begin
 * @param opening the opener when the output begins with a call
 * @param calls what follows an opener
 * @param answer what precedes an answer without calls
 */
public record CallMarkup(
    List<String> openings,
    String before,
    MarkupPattern opening,
    Calls calls,
    MarkupPattern answer) {
  /**
   * The markup around names and arguments.
   *
   * @param first before the first name
   * @param between name and arguments
   * @param after arguments
   * @param next before another name; {@link MarkupPattern#NEVER} for one call only
   * @param last after all calls
   * @param elements how arguments are written; null for a JSON object
   */
  public record Calls(
      MarkupPattern first,
      MarkupPattern between,
      MarkupPattern after,
      MarkupPattern next,
      MarkupPattern last,
      Elements elements) {
    /** Calls with arguments as JSON objects. */
    public Calls(
        MarkupPattern first,
        MarkupPattern between,
        MarkupPattern after,
        MarkupPattern next,
        MarkupPattern last) {
      this(first, between, after, next, last, null);
    }

    /** The rule of calls; {@code named} reads a call from its name on. */
    Rule rule(Rule named, boolean several) {
      Rule more = sequence(next.rule(), named);
      return sequence(
          first.rule(),
          named,
          several ? Rules.repeat(more, 0, Rule.Repeat.ENDLESS) : Rule.EMPTY,
          last.rule());
    }
  }
}
