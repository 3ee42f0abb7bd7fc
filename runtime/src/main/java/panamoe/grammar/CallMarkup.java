package panamoe.grammar;

import static panamoe.grammar.Rules.sequence;

import java.util.List;

/**
 * What is around calls of functions, and before a plain answer. Immutable and thread-safe.
 *
 * @param openings what comes before a first name in free text, one of these; with {@link
 *     panamoe.data.Markers}
 * @param before what a prompt ends with, that an opening may begin with
 * @param opening of a text that calls from its beginning
 * @param calls what follows an opening
 * @param answer what comes before a plain answer
 */
public record CallMarkup(
    List<String> openings,
    String before,
    MarkupPattern opening,
    Calls calls,
    MarkupPattern answer) {
  /**
   * What is around names and arguments.
   *
   * @param first before the first name
   * @param between a name and its arguments
   * @param after arguments
   * @param next before another name; {@link MarkupPattern#NEVER} if a text calls once
   * @param last behind all calls
   */
  public record Calls(
      MarkupPattern first,
      MarkupPattern between,
      MarkupPattern after,
      MarkupPattern next,
      MarkupPattern last) {
    /** Calls of a function, each of which {@code named} reads from its name on. */
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
