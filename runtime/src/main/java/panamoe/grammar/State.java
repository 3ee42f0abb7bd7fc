package panamoe.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A state of the output: all stacks by which the output so far can be parsed, each with a rule on
 * top that reads the next symbol. Immutable. No stack is a dead end, because no rule is one.
 */
final class State {
  /**
   * Maximum of stacks. Ambiguous output beyond it loses some stacks, and with them some
   * continuations, but never all.
   */
  static final int MOST_STACKS = 1000;

  /** Maximum of different positions in strings on top, because the mask of each takes long. */
  static final int MOST_TEXTS = 16;

  private final Stack[] stacks;
  private final boolean ends;
  private final int hash;

  private State(List<Stack> stacks, boolean ends) {
    this.stacks = stacks.toArray(Stack[]::new);
    this.ends = ends;
    hash = 31 * Arrays.hashCode(this.stacks) + Boolean.hashCode(ends);
  }

  /** The initial state of a rule. */
  static State before(Rule rule) {
    return before(rule, null);
  }

  /**
   * The initial state of a rule, with every stack.
   *
   * @param budget null for the limits of {@link #before(Rule)}
   * @throws IllegalArgumentException if the budget is exhausted, or there are too many stacks
   */
  static State before(Rule rule, SchemaLimits budget) {
    Collector collector = new Collector(budget);
    collector.add(rule, null);
    return collector.state();
  }

  /** The state after a part of the output that one stack was on top of. */
  static State after(Stack below) {
    Collector collector = new Collector(null);
    collector.add(Rule.EMPTY, below);
    return collector.state();
  }

  static State of(List<Stack> stacks) {
    return new State(stacks, false);
  }

  /** Not to be changed. */
  Stack[] stacks() {
    return stacks;
  }

  /** Whether the output may end here. */
  boolean mayEnd() {
    return ends;
  }

  /**
   * A state with the same mask, shared by as many such states as possible.
   *
   * @param reach bytes of the longest token
   */
  State alike(int reach) {
    List<Stack> alike = new ArrayList<>(stacks.length);
    boolean same = true;
    for (Stack stack : stacks) {
      Rule top = stack.top instanceof Rule.Text text ? text.shape().alike(text, reach) : stack.top;
      alike.add(top == stack.top ? stack : new Stack(top, stack.below));
      same &= top == stack.top;
    }
    return same ? this : new State(alike, ends);
  }

  /** The state after a symbol; null if the symbol is not allowed. */
  State step(int symbol) {
    return step(symbol, null);
  }

  /**
   * The state after a symbol, with every stack; null if the symbol is not allowed.
   *
   * @param budget null for the limits of {@link #step(int)}
   * @throws IllegalArgumentException if the budget is exhausted, or there are too many stacks
   */
  State step(int symbol, SchemaLimits budget) {
    Collector collector = null;
    for (Stack stack : stacks) {
      Rule next =
          switch (stack.top) {
            case Rule.One one -> one.set.contains(symbol) ? Rule.EMPTY : null;
            case Rule.Run run -> run.step(symbol);
            case Rule.Words words -> words.list().step(words, symbol);
            default -> throw new AssertionError(stack.top);
          };
      if (next == stack.top && stacks.length == 1 && !ends) {
        return this;
      }
      if (next != null) {
        collector = collector == null ? new Collector(budget) : collector;
        collector.add(next, stack.below);
      }
    }
    return collector == null ? null : collector.state();
  }

  /** Whether this state's stacks include all of another's. */
  boolean includes(State other) {
    return (ends || !other.ends) && Arrays.asList(stacks).containsAll(Arrays.asList(other.stacks));
  }

  /** Whether the output may end after some bytes. */
  boolean accepts(byte[] bytes) {
    State state = this;
    for (int i = 0; state != null && i < bytes.length; i++) {
      state = state.step(bytes[i] & 0xff);
    }
    return state != null && state.mayEnd();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof State state
        && hash == state.hash
        && ends == state.ends
        && Arrays.equals(stacks, state.stacks);
  }

  @Override
  public int hashCode() {
    return hash;
  }

  /**
   * Opens rules until each stack has a rule on top that reads a symbol. The work is bounded by a
   * budget, or else by dropping the rest once a stack is found.
   */
  private static final class Collector {
    private static final int FEW = 8;
    private static final int FEW_OPENED = 64;
    private static final int MOST_OPENED = 1 << 14;

    private final SchemaLimits budget;
    private final List<Stack> found = new ArrayList<>(2);
    private Set<Stack> known; // the stacks found, from FEW on
    private Way unopened; // null for none
    // Choices are opened once, so that ways that meet again are one. Kept from FEW_OPENED on: most
    // states need fewer steps.
    private Set<Stack> choices;
    private boolean ends;
    private int opened;

    /** A rule to open on top of a stack; the next ones to open. */
    private record Way(Rule top, Stack below, Way next) {}

    Collector(SchemaLimits budget) {
      this.budget = budget;
    }

    State state() {
      return new State(found, ends);
    }

    /** Adds a rule on top of a stack, with all that it opens to. */
    void add(Rule rule, Stack below) {
      open(rule, below);
      while (unopened != null) {
        Way way = unopened;
        unopened = way.next;
        open(way.top, way.below);
      }
    }

    private boolean isRoom() {
      opened++;
      if (budget != null) {
        budget.spend(1);
        return true;
      }
      return opened <= MOST_OPENED && found.size() < MOST_STACKS || found.isEmpty() && !ends;
    }

    /** Opens a rule until one that reads a symbol is on top; its other beginnings follow later. */
    private void open(Rule rule, Stack stack) {
      Rule top = rule;
      Stack below = stack;
      while (top != null && isRoom()) {
        switch (top) {
          case Rule.Empty empty -> {
            ends |= below == null;
            top = below == null ? null : below.top;
            below = below == null ? null : below.below;
          }
          case Rule.Sequence pair -> {
            below = new Stack(pair.rest, below);
            top = pair.first;
          }
          case Rule.Choice choice -> top = alternatives(choice, below);
          case Rule.Reference reference -> top = reference.target;
          case Rule.Repeat repeat -> {
            if (repeat.min() == 0) {
              later(Rule.EMPTY, below);
            }
            Rule after = repeat.after();
            below = after == Rule.EMPTY ? below : new Stack(after, below);
            top = repeat.part();
          }
          case Rule.Words words -> {
            top = words.list().after(words);
            Rule longer = top == null ? words : WordList.longer(words);
            if (longer != null) {
              keep(new Stack(longer, below));
            }
          }
          default -> {
            keep(new Stack(top, below));
            top = null;
          }
        }
      }
    }

    /** The first alternative; null if the choice was opened already. */
    private Rule alternatives(Rule.Choice choice, Stack below) {
      if (opened > FEW_OPENED) {
        choices = choices == null ? new HashSet<>() : choices;
        if (!choices.add(new Stack(choice, below))) {
          return null;
        }
      }
      for (int i = choice.alternatives.size() - 1; i > 0; i--) {
        later(choice.alternatives.get(i), below);
      }
      return choice.alternatives.getFirst();
    }

    private void later(Rule rule, Stack below) {
      unopened = new Way(rule, below, unopened);
    }

    private void keep(Stack stack) {
      if (found.size() < FEW ? found.contains(stack) : !known().add(stack)) {
        return;
      }
      if (found.size() < MOST_STACKS && !isOneTextTooMany(stack.top)) {
        found.add(stack);
      } else if (budget != null) {
        budget.overdraw();
      }
    }

    private Set<Stack> known() {
      if (known == null) {
        known = new HashSet<>(found);
      }
      return known;
    }

    private boolean isOneTextTooMany(Rule top) {
      return found.size() >= MOST_TEXTS
          && top instanceof Rule.Run
          && Stream.concat(found.stream().map(one -> one.top), Stream.of(top))
                  .filter(Rule.Run.class::isInstance)
                  .distinct()
                  .count()
              > MOST_TEXTS;
    }
  }
}
