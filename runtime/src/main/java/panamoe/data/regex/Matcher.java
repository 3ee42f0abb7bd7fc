package panamoe.data.regex;

import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Deque;

/**
 * Finds the matches in a text one after the other, in time proportional to its length whatever
 * pattern and text are. Not thread-safe; one matcher serves many texts, since it remembers what it
 * learnt.
 *
 * <p>A text is read backwards first, all of it, and then once more block by block as the matches
 * come to it: only the state at each block's end is kept. Most texts are one block, which is read
 * once.
 */
public final class Matcher {
  private static final int BLOCK = 1 << 15;
  private static final int NOWHERE = -1;

  /** What is known of a block that was read and forgotten: its end, and the state there. */
  private record Mark(int at, BitSet state) {}

  private final Viability viability;

  /** The state at each place of the block, from its end backwards. */
  private final char[] states = new char[BLOCK + 2];

  /** Of the blocks to come, the next one on top. */
  private final Deque<Mark> marks = new ArrayDeque<>();

  private char[] text;
  private int from;
  private int to;
  private int blockEnd;
  private int search;
  private int matchStart;
  private int matchEnd;

  Matcher(Viability viability) {
    this.viability = viability;
  }

  /**
   * Begins with the part of a text from {@code from} to {@code to}, exclusive, as if there were
   * nothing around it.
   *
   * @param text without lone surrogates, not to be changed while it is searched
   */
  public void reset(char[] text, int from, int to) {
    this.text = text;
    this.from = from;
    this.to = to;
    search = from;
    matchEnd = NOWHERE;
    marks.clear();
    int at = to;
    int begin = read(to, Viability.AT_END, from);
    while (begin > from) {
      marks.push(new Mark(at, viability.steps(states[0])));
      at = begin;
      begin = read(at, states[blockEnd - at], from);
    }
  }

  /**
   * Goes on to the next match, which is not an empty one where the last match ended; false if there
   * is none.
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

  /** Where in the text the match begins. */
  public int start() {
    return matchStart;
  }

  /** Where in the text the match ends, exclusive. */
  public int end() {
    return matchEnd;
  }

  private int endOfMatch(int start) {
    int at = start;
    int step = viability.first(stateAt(at));
    while (step != Viability.MATCHED) {
      at = after(at);
      step = viability.next(step, stateAt(at));
    }
    return at;
  }

  private int after(int at) {
    return at + (at + 1 < to && Character.isHighSurrogate(text[at]) ? 2 : 1);
  }

  /** Places are asked for in ascending order. */
  private int stateAt(int at) {
    if (at > blockEnd) {
      Mark mark = marks.pop();
      int state = viability.intern(mark.state);
      read(mark.at, state == Viability.NONE ? viability.restart(mark.state) : state, blockEnd);
    }
    return states[blockEnd - at];
  }

  /**
   * Reads a block backwards, from a place and its state down to another place, or less far if the
   * block is full or its states are too many; returns where it begins. What was read once can be
   * read again.
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
      if (state == Viability.NONE) {
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
