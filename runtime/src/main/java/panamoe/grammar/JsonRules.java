package panamoe.grammar;

import static panamoe.grammar.Rules.choice;
import static panamoe.grammar.Rules.literal;
import static panamoe.grammar.Rules.optional;
import static panamoe.grammar.Rules.repeat;
import static panamoe.grammar.Rules.sequence;

import java.util.ArrayList;
import java.util.List;

/**
 * Rules of JSON values. White space is at most one space after a colon or a comma, so that no
 * output is endless white space.
 */
final class JsonRules {
  /** Maximum nesting of a value without a schema. */
  static final int MOST_DEPTH = 32;

  static final Rule NULL = literal("null");
  static final Rule BOOLEAN = choice(literal("true"), literal("false"));
  static final Rule STRING = string(TextShape.ANYTHING);
  static final Rule COMMA = sequence(literal(","), optional(literal(" ")));
  static final Rule COLON = sequence(literal(":"), optional(literal(" ")));

  static final ObjectRules.Marks OBJECT =
      new ObjectRules.Marks(literal("{"), Rule.EMPTY, COMMA, COLON, literal("}"), true);

  static final Rule VALUE = value();

  private JsonRules() {}

  /** A string in the shape of {@link TextShape}. */
  static Rule string(Rule text) {
    return sequence(literal("\""), text);
  }

  /**
   * An array.
   *
   * @param first the rules of its first elements
   * @param others the rule of further elements
   * @param min fewest elements
   * @param max most elements
   */
  static Rule array(List<Rule> first, Rule others, int min, int max) {
    int count = Math.min(first.size(), max);
    Rule rest = afterFirst(count, others, min, max);
    for (int i = count - 1; i >= 0; i--) {
      Rule element = sequence(i == 0 ? Rule.EMPTY : COMMA, first.get(i), rest);
      rest = choice(i >= min ? literal("]") : Rule.NEVER, element);
    }
    return sequence(literal("["), rest);
  }

  private static Rule afterFirst(int count, Rule others, int min, int max) {
    int least = Math.max(0, min - count);
    int most = max == Rule.Repeat.ENDLESS ? max : max - count;
    Rule end = literal("]");
    if (count > 0) {
      return sequence(repeat(sequence(COMMA, others), least, most), end);
    }
    int mostMore = most == Rule.Repeat.ENDLESS ? most : most - 1;
    Rule more = repeat(sequence(COMMA, others), Math.max(0, least - 1), mostMore);
    return choice(
        least == 0 ? end : Rule.NEVER, most == 0 ? Rule.NEVER : sequence(others, more, end));
  }

  private static Rule value() {
    List<Rule> flat = List.of(NULL, BOOLEAN, NumberRules.NUMBER, STRING);
    Rule value = choice(flat);
    for (int depth = 1; depth < MOST_DEPTH; depth++) {
      List<Rule> rules = new ArrayList<>(flat);
      rules.add(array(List.of(), value, 0, Rule.Repeat.ENDLESS));
      rules.add(new ObjectRules(OBJECT, List.of(), value, SchemaLimits.FREE).rule());
      value = choice(rules);
    }
    return value;
  }
}
