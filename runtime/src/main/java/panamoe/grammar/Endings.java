package panamoe.grammar;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import panamoe.io.Require;

/** Checks that every rule has a finite output, once references are resolved. */
final class Endings {
  /** Rules are visited after their parts, so that a few passes suffice. */
  private static final int MOST_PASSES = 100;

  private Endings() {}

  /**
   * Checks all referenced rules.
   *
   * @throws IllegalArgumentException if one has only endless output or refers to itself alone, or
   *     if the budget is exhausted
   */
  static void check(Collection<Rule.Reference> references, SchemaLimits budget) {
    references.forEach(reference -> checkLoop(reference, budget));
    List<Rule> rules = reachable(references);
    Set<Rule> ending = new HashSet<>();
    int before = -1;
    for (int pass = 0; before != ending.size(); pass++) {
      Require.that(pass != MOST_PASSES, "the schema's references are too tangled");
      before = ending.size();
      budget.spend(rules.size());
      for (Rule rule : rules.reversed()) {
        if (!ending.contains(rule) && ends(rule, ending)) {
          ending.add(rule);
        }
      }
    }
    for (Rule.Reference reference : references) {
      if (!ending.contains(reference)) {
        throw new Schema(null, reference.place).refuse("allows no value of finite length");
      }
    }
  }

  private static boolean ends(Rule rule, Set<Rule> ending) {
    return switch (rule) {
      case Rule.Never never -> false;
      case Rule.Sequence pair -> ending.contains(pair.first) && ending.contains(pair.rest);
      case Rule.Choice choice -> choice.alternatives.stream().anyMatch(ending::contains);
      case Rule.Words words -> Stream.of(words.list().followers()).anyMatch(ending::contains);
      case Rule.Repeat repeat -> repeat.min() == 0 || ending.contains(repeat.part());
      case Rule.Reference reference -> ending.contains(reference.target);
      default -> true;
    };
  }

  /** All reachable rules, parts before the rules that contain them where possible. */
  private static List<Rule> reachable(Collection<Rule.Reference> references) {
    List<Rule> found = new ArrayList<>(references);
    Set<Rule> known = new HashSet<>(found);
    for (int i = 0; i < found.size(); i++) {
      parts(found.get(i)).filter(known::add).forEach(found::add);
    }
    return found;
  }

  private static Stream<Rule> parts(Rule rule) {
    return switch (rule) {
      case Rule.Sequence pair -> Stream.of(pair.first, pair.rest);
      case Rule.Choice choice -> choice.alternatives.stream();
      case Rule.Words words -> Stream.of(words.list().followers());
      case Rule.Repeat repeat -> Stream.of(repeat.part());
      case Rule.Reference reference -> Stream.of(reference.target);
      default -> Stream.of();
    };
  }

  /** Refuses a reference that leads back to itself before any symbol: it would never end. */
  private static void checkLoop(Rule.Reference reference, SchemaLimits budget) {
    List<Rule> found = new ArrayList<>(List.of(reference.target));
    Set<Rule> known = new HashSet<>(found);
    for (int i = 0; i < found.size(); i++) {
      budget.spend(1);
      if (found.get(i) == reference) {
        throw new Schema(null, reference.place).refuse("is itself, by references alone");
      }
      if (found.get(i) instanceof Rule.Choice || found.get(i) instanceof Rule.Reference) {
        parts(found.get(i)).filter(known::add).forEach(found::add);
      }
    }
  }
}
