package panamoe.grammar;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * Where a text can be: every stack by which what is read so far can be read, with a rule on top
 * that reads the next symbol. Immutable. No stack is a dead end, because no rule is one.
 */
final class State {
  /**
   * Stacks that are followed. A text that can be read in more ways loses some of them, and with
   * them some of its continuations, but never all.
   */
  static final int MOST_STACKS = 1000;

  /** Different places in strings among their tops, each of which a mask takes long for. */
  static final int MOST_TEXTS = 16;

  private final Stack[] stacks;
  private final boolean ends;
  private final int hash;

  private State(List<Stack> stacks, boolean ends) {
    this.stacks = stacks.toArray(Stack[]::new);
    this.ends = ends;
    hash = 31 * Arrays.hashCode(this.stacks) + Boolean.hashCode(ends);
  }

  /** The state before a rule. */
  static State before(Rule rule) {
    Collector collector = new Collector();
    collector.add(rule, null);
    return collector.state();
  }

  /** The state after a part of the text that one stack was on top of. */
  static State after(Stack below) {
    Collector collector = new Collector();
    collector.pop(below);
    return collector.state();
  }

  /** The state of some of the stacks. */
  static State of(List<Stack> stacks) {
    return new State(stacks, false);
  }

  /** Not to be changed. */
  Stack[] stacks() {
    return stacks;
  }

  /** Whether the text may end here. */
  boolean mayEnd() {
    return ends;
  }

  /**
   * A state before which the same tokens may come, and that is the same for more of such states.
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

  /** The state after one more symbol; null if it may not come. */
  State step(int symbol) {
    Collector collector = null;
    for (Stack stack : stacks) {
      Rule next =
          switch (stack.top) {
            case Rule.One one -> one.set.contains(symbol) ? Rule.EMPTY : null;
            case Rule.Text text -> text.shape().step(text, symbol);
            case Rule.Words words -> words.list().step(words, symbol);
            default -> throw new AssertionError(stack.top);
          };
      if (next == stack.top && stacks.length == 1 && !ends) {
        return this;
      }
      if (next != null) {
        collector = collector == null ? new Collector() : collector;
        collector.add(next, stack.below);
      }
    }
    return collector == null ? null : collector.state();
  }

  /** Whether the text may end after some bytes. */
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

  /** Opens rules until one that reads a symbol is on top of each stack. */
  private static final class Collector {
    private static final int FEW = 8;

    private final List<Stack> found = new ArrayList<>(2);
    private Set<Stack> known;
    private boolean ends;

    State state() {
      return new State(found, ends);
    }

    void pop(Stack below) {
      if (below == null) {
        ends = true;
      } else {
        add(below.top, below.below);
      }
    }

    void add(Rule rule, Stack below) {
      switch (rule) {
        case Rule.Empty empty -> pop(below);
        case Rule.Sequence pair -> add(pair.first, new Stack(pair.rest, below));
        case Rule.Choice choice -> choice.alternatives.forEach(one -> add(one, below));
        case Rule.Reference reference -> add(reference.target, below);
        case Rule.Repeat repeat -> {
          if (repeat.min() == 0) {
            pop(below);
          }
          Rule after = repeat.after();
          add(repeat.part(), after == Rule.EMPTY ? below : new Stack(after, below));
        }
        case Rule.Words words -> {
          Rule after = words.list().after(words);
          if (after != null) {
            add(after, below);
          }
          Rule.Words longer = after == null ? words : WordList.longer(words);
          if (longer != null) {
            keep(new Stack(longer, below));
          }
        }
        case Rule.One one -> keep(new Stack(one, below));
        case Rule.Text text -> keep(new Stack(text, below));
        case Rule.Never never -> throw new AssertionError("a dead end");
      }
    }

    private void keep(Stack stack) {
      if (found.size() < FEW ? found.contains(stack) : !known().add(stack)) {
        return;
      }
      if (found.size() < MOST_STACKS && !isOneTextTooMany(stack.top)) {
        found.add(stack);
      }
    }

    private boolean isOneTextTooMany(Rule top) {
      return found.size() >= MOST_TEXTS
          && top instanceof Rule.Text
          && Stream.concat(found.stream().map(one -> one.top), Stream.of(top))
                  .filter(Rule.Text.class::isInstance)
                  .distinct()
                  .count()
              > MOST_TEXTS;
    }

    private Set<Stack> known() {
      if (known == null) {
        known = new HashSet<>(found);
      }
      return known;
    }
  }
}
