package panamoe.data.regex;

import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Deque;

/**
 * Finds the matches in a text one after the other, in time proportional to its length for any
 * pattern and text. Not thread-safe. Reuse a matcher for many texts: it caches automaton states.
 *
 * <p>The matcher first reads the whole text backwards and keeps only the state at each block's end;
 * as matching reaches a block, it reads that block again. Most texts are one block, which is read
 * once.
 */
public final class Matcher {
  private static final int BLOCK = 1 << 15;
  private static final int NOWHERE = -1;

  /** The end of a block whose states were dropped, and the state there. */
  private record Mark(int at, BitSet state) {}

  private final ReverseAutomaton viability;

  /** The state at each position of the block, from its end backwards. */
  private final char[] states = new char[BLOCK + 2];

  /** The marks of the blocks to come, the next one on top. */
  private final Deque<Mark> marks = new ArrayDeque<>();

  private char[] text;
  private int from;
  private int to;
  private int blockEnd;
  private int search;
  private int matchStart;
  private int matchEnd;

  Matcher(ReverseAutomaton viability) {
    this.viability = viability;
  }

  /**
   * Starts matching in the range {@code from} to {@code to} (exclusive) of a text, as if the range
   * were the whole text.
   *
   * @param text without lone surrogates; must not change during matching
   */
  public void reset(char[] text, int from, int to) {
    this.text = text;
    this.from = from;
    this.to = to;
    search = from;
    matchEnd = NOWHERE;
    marks.clear();
    int at = to;
    int begin = read(to, ReverseAutomaton.AT_END, from);
    while (begin > from) {
      marks.push(new Mark(at, viability.steps(states[0])));
      at = begin;
      begin = read(at, states[blockEnd - at], from);
    }
  }

  /**
   * Advances to the next match, skipping an empty one at the end of the last; returns false if
   * there is no further match.
   */
  public boolean find() {
    for (int at = search; at <= to; at = after(at)) {
      if (viability.matches(stateAt(at))) {
        int end = endOfMatch(at);
        if (end > at || end != matchEnd) {
          matchStart = at;
          matchEnd = end;
          search = end;
          return true;
        }
      }
    }
    search = to + 1;
    return false;
  }

  /** The index at which the match begins. */
  public int start() {
    return matchStart;
  }

  /** The index at which the match ends, exclusive. */
  public int end() {
    return matchEnd;
  }

  private int endOfMatch(int start) {
    int at = start;
    int step = viability.first(stateAt(at));
    while (step != ReverseAutomaton.MATCHED) {
      at = after(at);
      step = viability.next(step, stateAt(at));
    }
    return at;
  }

  private int after(int at) {
    return at + (at + 1 < to && Character.isHighSurrogate(text[at]) ? 2 : 1);
  }

  /** The state at a position; callers ask for ascending positions. */
  private int stateAt(int at) {
    if (at > blockEnd) {
      Mark mark = marks.pop();
      int state = viability.intern(mark.state);
      read(
          mark.at,
          state == ReverseAutomaton.NONE ? viability.restart(mark.state) : state,
          blockEnd);
    }
    return states[blockEnd - at];
  }

  /**
   * Reads a block backwards, from {@code end} with its state down to {@code begin}, or stops
   * earlier if the block is full or has too many states; returns its first position.
   */
  private int read(int end, int endState, int begin) {
    blockEnd = end;
    states[0] = (char) endState;
    boolean restarted = false;
    int at = end;
    while (at > begin && end - at < BLOCK) {
      char last = text[at - 1];
      int length = Character.isLowSurrogate(last) && at - 1 > from ? 2 : 1;
      int state =
          viability.before(
              length == 1 ? last : Character.toCodePoint(text[at - 2], last), states[end - at]);
      if (state == ReverseAutomaton.NONE) {
        if (restarted) {
          break;
        }
        restarted = true;
        states[0] = (char) viability.restart(viability.steps(states[0]));
        at = end;
      } else {
        at -= length;
        states[end - at] = (char) state;
      }
    }
    return at;
  }
}
