package panamoe.grammar;

import static panamoe.grammar.Rules.choice;
import static panamoe.grammar.Rules.literal;
import static panamoe.grammar.Rules.repeat;
import static panamoe.grammar.Rules.sequence;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.SortedMap;
import tools.jackson.databind.node.StringNode;

/** The rule of an object: its named members in order, then others. */
final class ObjectRules {
  /**
   * A member that is named.
   *
   * @param value {@link Rule#NEVER} if it must not be there
   */
  record Member(String key, Rule value, boolean required) {}

  private final List<Member> members;
  private final Rule other;

  /** The members' keys as JSON. */
  private final byte[][] keys;

  /** What comes after each key, up to the end of the object. */
  private final Rule[] afterKey;

  /**
   * @param named in the order of the text
   * @param others the rule of the values of members that are not named
   * @throws IllegalArgumentException if the budget is spent
   */
  ObjectRules(List<Member> named, Rule others, SchemaLimits budget) {
    members = named.stream().filter(one -> one.required() || one.value() != Rule.NEVER).toList();
    other =
        others == Rule.NEVER
            ? others
            : sequence(
                keyBut(named.stream().map(Member::key).toList(), budget), JsonRules.COLON, others);
    keys = members.stream().map(one -> json(one.key())).toArray(byte[][]::new);
    afterKey = new Rule[members.size()];
  }

  Rule rule() {
    int past = members.size();
    boolean mayEnd = true;
    Rule next = next(past, mayEnd);
    while (past > 0) {
      past--;
      Rule rest = choice(end(mayEnd), sequence(JsonRules.COMMA, next));
      afterKey[past] = sequence(JsonRules.COLON, members.get(past).value(), rest);
      mayEnd &= !members.get(past).required();
      next = next(past, mayEnd);
    }
    return sequence(literal("{"), choice(end(mayEnd), next));
  }

  /** A member after those that are past, and all that follows it. */
  private Rule next(int past, boolean mayEnd) {
    SortedMap<byte[], Rule> words = WordList.map();
    boolean skips = true;
    for (int at = past; skips && at < members.size(); at++) {
      words.put(keys[at], afterKey[at]);
      skips = !members.get(at).required();
    }
    Rule others = repeat(sequence(JsonRules.COMMA, other), 0, Rule.Repeat.ENDLESS);
    return choice(WordList.rule(words), sequence(other, others, end(mayEnd)));
  }

  /** The end of the object where no member is missing. */
  private static Rule end(boolean mayEnd) {
    return mayEnd ? literal("}") : Rule.NEVER;
  }

  /** Any key except some. */
  private static Rule keyBut(List<String> named, SchemaLimits budget) {
    if (named.isEmpty()) {
      return JsonRules.STRING;
    }
    CharacterAutomaton others = CharacterAutomaton.of(PatternRules.allBut(named), budget);
    return JsonRules.string(TextShape.rule(others, 0, Rule.Repeat.ENDLESS, budget));
  }

  private static byte[] json(String key) {
    return StringNode.valueOf(key).toString().getBytes(StandardCharsets.UTF_8);
  }
}
