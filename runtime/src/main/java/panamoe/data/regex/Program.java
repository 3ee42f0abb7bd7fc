package panamoe.data.regex;

import java.util.ArrayList;
import java.util.List;
import panamoe.io.Require;

/**
 * A pattern as a nondeterministic automaton. A step consumes one code point ({@link Kind#ONE}),
 * forks with a preferred branch, forks into another round of a loop or its exit, tests a condition,
 * or ends a match. Each look-ahead is a separate automaton among the steps, one layer above the
 * pattern around it; the pattern itself is layer 0.
 */
final class Program {
  /** Several times more than released tokenizers need: matching costs in proportion. */
  private static final int MAX_STEPS = 500;

  enum Kind {
    ONE,
    FORK,
    LOOP,
    LOOK_AHEAD,
    NOT_LOOK_AHEAD,
    END,
    MATCH
  }

  private final Kind[] kinds = new Kind[MAX_STEPS];
  private final int[] layers = new int[MAX_STEPS];
  private final int[] next = new int[MAX_STEPS];
  private final int[] other = new int[MAX_STEPS];
  private int size;

  final List<CodeSet> sets = new ArrayList<>();
  final int start;
  private int layerCount;

  Program(RegexNode pattern) {
    int match = step(Kind.MATCH, 0, -1, -1);
    layerCount = 1;
    start = compile(pattern, match, 0);
  }

  int size() {
    return size;
  }

  int layerCount() {
    return layerCount;
  }

  Kind kind(int step) {
    return kinds[step];
  }

  int layer(int step) {
    return layers[step];
  }

  /** The next step; for a fork, the preferred branch. */
  int next(int step) {
    return next[step];
  }

  /**
   * The second branch of a fork (the exit of a loop), the first step of a look-ahead, or the set's
   * index of {@link Kind#ONE}.
   */
  int other(int step) {
    return other[step];
  }

  private int step(Kind kind, int layer, int nextStep, int otherStep) {
    if (size == MAX_STEPS) {
      throw Require.refusal("it is too large: more than %s steps", MAX_STEPS);
    }
    kinds[size] = kind;
    layers[size] = layer;
    next[size] = nextStep;
    other[size] = otherStep;
    return size++;
  }

  /** Adds a node's steps, last to first; returns the first; {@code then} follows the last. */
  private int compile(RegexNode node, int then, int layer) {
    return switch (node) {
      case RegexNode.One(CodeSet set) -> step(Kind.ONE, layer, then, indexOf(set));
      case RegexNode.Sequence(List<RegexNode> parts) -> {
        int first = then;
        for (RegexNode part : parts.reversed()) {
          first = compile(part, first, layer);
        }
        yield first;
      }
      case RegexNode.Choice(List<RegexNode> alternatives) -> {
        int first = compile(alternatives.getLast(), then, layer);
        for (RegexNode alternative : alternatives.subList(0, alternatives.size() - 1).reversed()) {
          first = step(Kind.FORK, layer, compile(alternative, then, layer), first);
        }
        yield first;
      }
      case RegexNode.Repeat repeat -> compile(repeat, then, layer);
      case RegexNode.LookAhead(RegexNode part, boolean negative) -> {
        int inner = layerCount++;
        int first = compile(part, step(Kind.MATCH, inner, -1, -1), inner);
        yield step(negative ? Kind.NOT_LOOK_AHEAD : Kind.LOOK_AHEAD, layer, then, first);
      }
      case RegexNode.End() -> step(Kind.END, layer, then, -1);
    };
  }

  private int compile(RegexNode.Repeat repeat, int then, int layer) {
    int first = then;
    if (repeat.max() == RegexNode.Repeat.ENDLESS) {
      // x* compiles to (x+)?, so that a first round that consumes nothing also ends the loop.
      int loop = step(repeat.greedy() ? Kind.LOOP : Kind.FORK, layer, -1, -1);
      int body = compile(repeat.part(), loop, layer);
      prefer(repeat.greedy(), loop, body, then);
      first = repeat.min() > 0 ? body : fork(repeat.greedy(), body, then, layer);
    } else {
      for (int i = repeat.min(); i < repeat.max(); i++) {
        first = fork(repeat.greedy(), compile(repeat.part(), first, layer), then, layer);
      }
    }
    for (int i = repeat.max() == RegexNode.Repeat.ENDLESS ? 1 : 0; i < repeat.min(); i++) {
      first = compile(repeat.part(), first, layer);
    }
    return first;
  }

  private int fork(boolean greedy, int body, int then, int layer) {
    int fork = step(Kind.FORK, layer, -1, -1);
    prefer(greedy, fork, body, then);
    return fork;
  }

  private void prefer(boolean greedy, int fork, int body, int then) {
    next[fork] = greedy ? body : then;
    other[fork] = greedy ? then : body;
  }

  private int indexOf(CodeSet set) {
    int index = sets.indexOf(set);
    if (index < 0) {
      sets.add(set);
      return sets.size() - 1;
    }
    return index;
  }
}
