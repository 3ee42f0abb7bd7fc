package panamoe.grammar;

import static panamoe.grammar.Rules.choice;
import static panamoe.grammar.Rules.repeat;
import static panamoe.grammar.Rules.sequence;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.SortedMap;
import tools.jackson.databind.node.StringNode;

/** The rule of an object: named members in order, then others. */
final class ObjectRules {
  /**
   * A named member.
   *
   * @param value {@link Rule#NEVER} if the member is forbidden
   */
  record Member(String key, Rule value, boolean required) {}

  /**
   * What is written around members.
   *
   * @param begin the beginning of the object
   * @param first before the first member
   * @param next before another
   * @param colon between key and value
   * @param end the end of the object
   * @param json whether keys are JSON strings, else they are plain
   */
  record Marks(Rule begin, Rule first, Rule next, Rule colon, Rule end, boolean json) {}

  private final Marks marks;
  private final List<Member> members;
  private final Rule other;

  /** The members' keys as JSON. */
  private final byte[][] keys;

  /** The rule after each key, up to the end of the object. */
  private final Rule[] afterKey;

  /**
   * @param named in the order of the output
   * @param others the rule of other members' values, in JSON
   * @throws IllegalArgumentException if the budget is exhausted
   */
  ObjectRules(Marks marks, List<Member> named, Rule others, SchemaLimits budget) {
    this.marks = marks;
    members = named.stream().filter(one -> one.required() || one.value() != Rule.NEVER).toList();
    other =
        others == Rule.NEVER
            ? others
            : sequence(
                keyBut(named.stream().map(Member::key).toList(), budget), JsonRules.COLON, others);
    keys = members.stream().map(one -> written(one.key())).toArray(byte[][]::new);
    afterKey = new Rule[members.size()];
  }

  Rule rule() {
    int past = members.size();
    boolean mayEnd = true;
    Rule next = next(past, mayEnd);
    while (past > 0) {
      past--;
      Rule rest = choice(end(mayEnd), sequence(marks.next, next));
      afterKey[past] = sequence(marks.colon, members.get(past).value(), rest);
      mayEnd &= !members.get(past).required();
      next = next(past, mayEnd);
    }
    return sequence(marks.begin, choice(end(mayEnd), sequence(marks.first, next)));
  }

  /** The members after the first {@code past}, and the end. */
  private Rule next(int past, boolean mayEnd) {
    SortedMap<byte[], Rule> words = WordList.map();
    boolean skips = true;
    for (int at = past; skips && at < members.size(); at++) {
      words.put(keys[at], afterKey[at]);
      skips = !members.get(at).required();
    }
    Rule others = repeat(sequence(marks.next, other), 0, Rule.Repeat.ENDLESS);
    return choice(WordList.rule(words), sequence(other, others, end(mayEnd)));
  }

  /** The end of the object, if no required member is missing. */
  private Rule end(boolean mayEnd) {
    return mayEnd ? marks.end : Rule.NEVER;
  }

  /** Any key except these. */
  private static Rule keyBut(List<String> named, SchemaLimits budget) {
    if (named.isEmpty()) {
      return JsonRules.STRING;
    }
    CharacterAutomaton others = CharacterAutomaton.of(PatternRules.allBut(named), budget);
    return JsonRules.string(
        TextShape.rule(others, 0, Rule.Repeat.ENDLESS, budget, TextShape.QUOTE));
  }

  private byte[] written(String key) {
    String text = marks.json ? StringNode.valueOf(key).toString() : key;
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
