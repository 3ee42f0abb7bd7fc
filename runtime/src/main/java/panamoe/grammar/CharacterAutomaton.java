package panamoe.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.IntPredicate;
import panamoe.data.regex.CodeSet;

/** A deterministic finite automaton over characters. Every state can reach an accepting one. */
final class CharacterAutomaton {
  /** All characters except surrogates. */
  static final CodeSet ANY_CHARACTER =
      CodeSet.range(Character.MIN_SURROGATE, Character.MAX_SURROGATE).complement();

  /** The rule of all strings. */
  static final Rule ANYTHING = Rules.repeat(Rules.one(ANY_CHARACTER), 0, Rule.Repeat.ENDLESS);

  /** Accepts all strings. */
  static final CharacterAutomaton ANY = of(ANYTHING, SchemaLimits.FREE);

  static final int START = 0;

  static final int NOWHERE = -1;

  /** The first characters of the intervals on which all transitions agree. */
  private final int[] cuts;

  private final int[] ascii = new int[0x80];

  /** Next state by state and interval. */
  private final int[][] next;

  private final BitSet accepting = new BitSet();

  /** States that accept every continuation. */
  private final BitSet any = new BitSet();

  private CharacterAutomaton(int[] cuts, List<int[]> next, List<State> states) {
    this.cuts = cuts;
    this.next = next.toArray(int[][]::new);
    for (int state = 0; state < states.size(); state++) {
      accepting.set(state, states.get(state).mayEnd());
    }
    Arrays.setAll(ascii, character -> interval(cuts, character));
    cutDeadEnds();
    for (int state = 0; state < states.size(); state++) {
      any.set(state, accepting.get(state) && staysAt(state));
    }
  }

  /**
   * The automaton of a rule of characters.
   *
   * @throws IllegalArgumentException if the budget is exhausted
   */
  static CharacterAutomaton of(Rule rule, SchemaLimits budget) {
    return of(rule, budget, NOWHERE);
  }

  /** Like {@link #of(Rule, SchemaLimits)}, without the strings that have a character. */
  static CharacterAutomaton of(Rule rule, SchemaLimits budget, int without) {
    int[] cuts = cuts(rule, without);
    Map<State, Integer> numbers = new HashMap<>();
    List<State> states = new ArrayList<>();
    List<int[]> next = new ArrayList<>();
    State anything = State.before(ANYTHING, budget);
    states.add(State.before(rule, budget));
    numbers.put(states.getFirst(), START);
    for (int from = 0; from < states.size(); from++) {
      budget.spend((1L + states.get(from).stacks().length) * cuts.length);
      int[] targets = new int[cuts.length];
      for (int i = 0; i < cuts.length; i++) {
        State step = cuts[i] == without ? null : states.get(from).step(cuts[i], budget);
        State to = step != null && step.includes(anything) ? anything : step;
        targets[i] = to == null ? NOWHERE : numbers.computeIfAbsent(to, one -> states.size());
        if (targets[i] == states.size()) {
          states.add(to);
        }
      }
      next.add(targets);
    }
    return new CharacterAutomaton(cuts, next, states);
  }

  /** Whether no string is accepted. */
  boolean acceptsNothing() {
    return !accepts(START) && !any(START, to -> true);
  }

  int states() {
    return next.length;
  }

  /** Table size: states times intervals. */
  long entries() {
    return (long) next.length * cuts.length;
  }

  boolean accepts(int state) {
    return accepting.get(state);
  }

  /** Whether a state accepts every continuation. */
  boolean acceptsAny(int state) {
    return any.get(state);
  }

  int next(int state, int character) {
    return next[state][character < 0x80 ? ascii[character] : interval(cuts, character)];
  }

  /** Whether a character of a range leads to a state that passes a test. */
  boolean any(int state, int low, int high, IntPredicate test) {
    int[] targets = next[state];
    for (int i = interval(cuts, low); i < cuts.length && cuts[i] <= high; i++) {
      if (targets[i] != NOWHERE && test.test(targets[i])) {
        return true;
      }
    }
    return false;
  }

  /** Whether any character leads to a state that passes a test. */
  boolean any(int state, IntPredicate test) {
    return any(state, 0, Character.MAX_CODE_POINT, test);
  }

  private boolean staysAt(int state) {
    for (int i = 0; i < cuts.length; i++) {
      if (next[state][i] != state && ANY_CHARACTER.contains(cuts[i])) {
        return false;
      }
    }
    return true;
  }

  private void cutDeadEnds() {
    BitSet alive = (BitSet) accepting.clone();
    for (int before = -1; before != alive.cardinality(); ) {
      before = alive.cardinality();
      for (int state = next.length - 1; state >= 0; state--) {
        if (!alive.get(state) && any(state, alive::get)) {
          alive.set(state);
        }
      }
    }
    for (int[] targets : next) {
      for (int i = 0; i < targets.length; i++) {
        targets[i] = targets[i] != NOWHERE && alive.get(targets[i]) ? targets[i] : NOWHERE;
      }
    }
  }

  private static int interval(int[] cuts, int character) {
    int at = Arrays.binarySearch(cuts, character);
    return at >= 0 ? at : -at - 2;
  }

  private static int[] cuts(Rule rule, int without) {
    Set<Integer> cuts = new TreeSet<>(List.of(0, Math.max(without, 0), without + 1));
    collect(rule, cuts, new HashSet<>());
    return cuts.stream()
        .mapToInt(Integer::intValue)
        .filter(character -> character <= Character.MAX_CODE_POINT)
        .toArray();
  }

  private static void collect(Rule rule, Set<Integer> cuts, Set<Rule> seen) {
    if (!seen.add(rule)) {
      return;
    }
    switch (rule) {
      case Rule.One one -> Arrays.stream(one.set.changes()).forEach(cuts::add);
      case Rule.Sequence pair -> {
        // Sequences are right-deep: a loop over them keeps the recursion shallow.
        Rule rest = pair;
        while (rest instanceof Rule.Sequence further && (rest == pair || seen.add(rest))) {
          collect(further.first, cuts, seen);
          rest = further.rest;
        }
        collect(rest, cuts, seen);
      }
      case Rule.Choice choice -> choice.alternatives.forEach(one -> collect(one, cuts, seen));
      case Rule.Repeat repeat -> collect(repeat.part(), cuts, seen);
      case Rule.Empty empty -> {}
      default -> throw new AssertionError(rule);
    }
  }
}
