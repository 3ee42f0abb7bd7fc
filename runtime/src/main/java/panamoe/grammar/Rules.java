package panamoe.grammar;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import panamoe.data.regex.CodeSet;

/** Creates rules, and removes what has no output, so that no state is a dead end. */
final class Rules {
  private Rules() {}

  static Rule one(CodeSet set) {
    return set.equals(CodeSet.EMPTY) ? Rule.NEVER : new Rule.One(set);
  }

  static Rule literal(String text) {
    return literal(text.getBytes(StandardCharsets.UTF_8));
  }

  static Rule literal(byte[] bytes) {
    Rule rule = Rule.EMPTY;
    for (int i = bytes.length - 1; i >= 0; i--) {
      rule = sequence(one(CodeSet.of(bytes[i] & 0xff)), rule);
    }
    return rule;
  }

  static Rule sequence(Rule first, Rule rest) {
    if (first == Rule.NEVER || rest == Rule.NEVER) {
      return Rule.NEVER;
    }
    if (first == Rule.EMPTY || rest == Rule.EMPTY) {
      return first == Rule.EMPTY ? rest : first;
    }
    return new Rule.Sequence(first, rest);
  }

  static Rule sequence(Rule first, Rule second, Rule... others) {
    Rule rest = Rule.EMPTY;
    for (int i = others.length - 1; i >= 0; i--) {
      rest = sequence(others[i], rest);
    }
    return sequence(first, sequence(second, rest));
  }

  static Rule choice(Rule... alternatives) {
    return choice(List.of(alternatives));
  }

  static Rule choice(List<Rule> alternatives) {
    List<Rule> possible = new ArrayList<>(alternatives);
    possible.removeIf(rule -> rule == Rule.NEVER);
    return switch (possible.size()) {
      case 0 -> Rule.NEVER;
      case 1 -> possible.getFirst();
      default -> new Rule.Choice(possible);
    };
  }

  static Rule optional(Rule part) {
    return repeat(part, 0, 1);
  }

  /**
   * @param part reads at least one symbol
   */
  static Rule repeat(Rule part, int min, int max) {
    if (min > max || part == Rule.NEVER && min > 0) {
      return Rule.NEVER;
    }
    if (part == Rule.NEVER || part == Rule.EMPTY || max == 0) {
      return Rule.EMPTY;
    }
    return new Rule.Repeat(part, min, max);
  }
}
