package panamoe.data.regex;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * A deterministic automaton that reads the text backwards. Its state at a position is the set of
 * viable steps, those from which a match can still be reached; it follows from the code point there
 * and the state after it. States are created on first use. With them a forward pass finds a match
 * without backtracking, and a look-ahead is one lookup. Not thread-safe.
 *
 * <p>Forward transitions are cached too: from a step and a state to the next step that consumes a
 * code point.
 */
final class ReverseAutomaton {
  /** The state at the end of a text. */
  static final int AT_END = 0;

  static final int NONE = -1;

  /** Returned instead of a step: the match ends here. */
  static final int MATCHED = -2;

  private static final int[] NO_STEPS = {};
  private static final int UNKNOWN = -3;
  private static final int MAX_STATES = 4096;

  /** The limit on cached transitions, backward and forward together; each is an int. */
  private static final int MAX_WAYS = 1 << 20;

  private final Program program;
  private final CodeClasses classes;
  private final int maxStates;

  /** For each layer, the steps that consume a code point, and the one that ends it. */
  private final int[][] takers;

  private final int[] ends;

  /** For each step, the steps of its layer that lead to it without consuming a code point. */
  private final int[][] sources;

  /** Steps whose sources are still to be visited; each is here at most once. */
  private final int[] pending;

  private final Map<BitSet, Integer> numbers = new HashMap<>();
  private final List<BitSet> states = new ArrayList<>();
  private final List<int[]> backwards = new ArrayList<>();
  private final List<int[]> forwards = new ArrayList<>();

  ReverseAutomaton(Program program, CodeClasses classes) {
    this.program = program;
    this.classes = classes;
    maxStates = Math.clamp(MAX_WAYS / (classes.count() + program.size()), 4, MAX_STATES);
    takers = new int[program.layerCount()][];
    ends = new int[program.layerCount()];
    sources = new int[program.size()][];
    pending = new int[program.size()];
    for (int layer = 0; layer < takers.length; layer++) {
      takers[layer] = steps(Program.Kind.ONE, layer);
      ends[layer] = steps(Program.Kind.MATCH, layer)[0];
    }
    List<List<Integer>> lists = new ArrayList<>();
    for (int step = 0; step < program.size(); step++) {
      lists.add(new ArrayList<>());
    }
    for (int step = 0; step < program.size(); step++) {
      switch (program.kind(step)) {
        case FORK, LOOP -> {
          lists.get(program.next(step)).add(step);
          lists.get(program.other(step)).add(step);
        }
        case LOOK_AHEAD, NOT_LOOK_AHEAD, END -> lists.get(program.next(step)).add(step);
        case ONE, MATCH -> {}
      }
    }
    Arrays.setAll(sources, step -> lists.get(step).stream().mapToInt(Integer::intValue).toArray());
    intern(viable(null, NONE));
  }

  private int[] steps(Program.Kind kind, int layer) {
    return IntStream.range(0, program.size())
        .filter(step -> program.kind(step) == kind && program.layer(step) == layer)
        .toArray();
  }

  /** The state before a code point, from the one after it; {@link #NONE} at the limit. */
  int before(int codePoint, int after) {
    int codeClass = classes.of(codePoint);
    int known = backwards.get(after)[codeClass];
    if (known >= 0) {
      return known;
    }
    int state = intern(viable(states.get(after), codeClass));
    if (state != NONE) {
      backwards.get(after)[codeClass] = state;
    }
    return state;
  }

  /** Whether a match can begin at a position with this state. */
  boolean matches(int state) {
    return states.get(state).get(program.start);
  }

  /**
   * The first step that consumes a code point, of a match that begins at a position with this
   * state; or {@link #MATCHED}.
   */
  int first(int state) {
    return taker(program.start, state);
  }

  /** The step after {@code step} consumed a code point, after which the state is {@code state}. */
  int next(int step, int state) {
    return taker(program.next(step), state);
  }

  /** Drops all states except one; returns its new number. */
  int restart(BitSet kept) {
    BitSet atEnd = states.get(AT_END);
    numbers.clear();
    states.clear();
    backwards.clear();
    forwards.clear();
    intern(atEnd);
    return intern(kept);
  }

  /** The steps of a state, from which {@link #restart} can restore it. */
  BitSet steps(int state) {
    return states.get(state);
  }

  /** The number of a state, added if it is new; {@link #NONE} at the limit. */
  int intern(BitSet state) {
    Integer known = numbers.get(state);
    if (known != null) {
      return known;
    }
    if (states.size() == maxStates) {
      return NONE;
    }
    int number = states.size();
    numbers.put(state, number);
    states.add(state);
    backwards.add(filled(classes.count()));
    forwards.add(filled(program.size()));
    return number;
  }

  private static int[] filled(int length) {
    int[] ways = new int[length];
    Arrays.fill(ways, UNKNOWN);
    return ways;
  }

  /** The viable steps before a code point of the class; {@link #NONE} for the end of text. */
  private BitSet viable(BitSet after, int codeClass) {
    BitSet result = new BitSet(program.size());
    // Higher layers first: a pattern needs the results of its look-aheads.
    for (int layer = takers.length - 1; layer >= 0; layer--) {
      int count = 0;
      result.set(ends[layer]);
      pending[count++] = ends[layer];
      for (int step : codeClass == NONE ? NO_STEPS : takers[layer]) {
        if (after.get(program.next(step)) && classes.contains(program.other(step), codeClass)) {
          result.set(step);
          pending[count++] = step;
        }
      }
      while (count > 0) {
        for (int source : sources[pending[--count]]) {
          if (!result.get(source) && passes(source, result, codeClass)) {
            result.set(source);
            pending[count++] = source;
          }
        }
      }
    }
    return result;
  }

  private boolean passes(int step, BitSet viable, int codeClass) {
    return switch (program.kind(step)) {
      case LOOK_AHEAD -> viable.get(program.other(step));
      case NOT_LOOK_AHEAD -> !viable.get(program.other(step));
      case END -> codeClass == NONE;
      case FORK, LOOP, ONE, MATCH -> true;
    };
  }

  private int taker(int from, int state) {
    int known = forwards.get(state)[from];
    if (known == UNKNOWN) {
      known = walk(from, states.get(state));
      forwards.get(state)[from] = known;
    }
    return known;
  }

  /** The first viable step that consumes a code point, along preferred branches. */
  private int walk(int from, BitSet viable) {
    BitSet visited = new BitSet(program.size());
    ArrayDeque<Integer> open = new ArrayDeque<>();
    open.push(from);
    while (true) {
      int step = open.pop();
      if (!viable.get(step)) {
        continue;
      }
      if (visited.get(step)) {
        // A round that consumed nothing ends its loop.
        if (program.kind(step) == Program.Kind.LOOP) {
          open.push(program.other(step));
        }
        continue;
      }
      visited.set(step);
      switch (program.kind(step)) {
        case ONE -> {
          return step;
        }
        case MATCH -> {
          return MATCHED;
        }
        case FORK, LOOP -> {
          open.push(program.other(step));
          open.push(program.next(step));
        }
        case LOOK_AHEAD, NOT_LOOK_AHEAD, END -> open.push(program.next(step));
      }
    }
  }
}
