package panamoe.grammar;

import static panamoe.grammar.CharacterAutomaton.ANYTHING;
import static panamoe.grammar.CharacterAutomaton.ANY_CHARACTER;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import panamoe.data.regex.CodeSet;
import panamoe.data.regex.PatternParser;
import panamoe.data.regex.RegexNode;
import panamoe.data.regex.Syntax;

/** Rules of characters: of regular expressions, and complements. */
final class PatternRules {
  private PatternRules() {}

  /**
   * The rule of the strings that contain a match of a JSON Schema pattern.
   *
   * @throws IllegalArgumentException if the pattern is malformed or not supported
   */
  static Rule of(String pattern) {
    return of(PatternParser.parse(pattern, Syntax.JAVASCRIPT));
  }

  private static Rule of(RegexNode node) {
    // States are compared by the identity of rules, so "anything" is one rule everywhere.
    return node == RegexNode.ANYTHING
        ? ANYTHING
        : switch (node) {
          case RegexNode.One(CodeSet set) -> Rules.one(set.intersection(ANY_CHARACTER));
          case RegexNode.Sequence(List<RegexNode> parts) -> {
            Rule rule = Rule.EMPTY;
            for (RegexNode part : parts.reversed()) {
              rule = Rules.sequence(of(part), rule);
            }
            yield rule;
          }
          case RegexNode.Choice(List<RegexNode> alternatives) ->
              Rules.choice(alternatives.stream().map(PatternRules::of).toList());
          case RegexNode.Repeat(RegexNode part, int min, int max, boolean greedy) -> {
            Rule whole = of(part);
            Rule some = withoutEmpty(whole);
            yield Rules.repeat(some, some == whole ? min : 0, max);
          }
          case RegexNode.End end -> Rule.EMPTY;
          case RegexNode.LookAhead ahead ->
              throw new IllegalStateException("a look-ahead in a rule");
        };
  }

  /** The rule without the empty string; the same object if it has none. */
  static Rule withoutEmpty(Rule rule) {
    if (!mayBeEmpty(rule)) {
      return rule;
    }
    return switch (rule) {
      case Rule.Sequence pair ->
          Rules.choice(
              Rules.sequence(withoutEmpty(pair.first), pair.rest), withoutEmpty(pair.rest));
      case Rule.Choice choice ->
          Rules.choice(choice.alternatives.stream().map(PatternRules::withoutEmpty).toList());
      // The part is not empty, so it is read at least once.
      case Rule.Repeat repeat -> Rules.repeat(repeat.part(), 1, repeat.max());
      default -> Rule.NEVER;
    };
  }

  private static boolean mayBeEmpty(Rule rule) {
    return switch (rule) {
      case Rule.Empty empty -> true;
      case Rule.Sequence pair -> mayBeEmpty(pair.first) && mayBeEmpty(pair.rest);
      case Rule.Choice choice -> choice.alternatives.stream().anyMatch(PatternRules::mayBeEmpty);
      case Rule.Repeat repeat -> repeat.min() == 0;
      default -> false;
    };
  }

  /** All strings except these. */
  static Rule allBut(List<String> words) {
    return allBut(
        words.stream().map(word -> word.codePoints().toArray()).sorted(Arrays::compare).toList(),
        0);
  }

  /** The continuations after a prefix that all the words, in order, share. */
  private static Rule allBut(List<int[]> words, int depth) {
    List<Rule> alternatives = new ArrayList<>();
    CodeSet others = ANY_CHARACTER;
    int at = 0;
    if (!words.isEmpty() && words.getFirst().length == depth) {
      at++;
    } else {
      alternatives.add(Rule.EMPTY);
    }
    while (at < words.size()) {
      int character = words.get(at)[depth];
      int from = at;
      while (at < words.size() && words.get(at)[depth] == character) {
        at++;
      }
      CodeSet one = CodeSet.of(character);
      others = others.intersection(one.complement());
      alternatives.add(Rules.sequence(Rules.one(one), allBut(words.subList(from, at), depth + 1)));
    }
    alternatives.add(Rules.sequence(Rules.one(others), ANYTHING));
    return Rules.choice(alternatives);
  }
}
