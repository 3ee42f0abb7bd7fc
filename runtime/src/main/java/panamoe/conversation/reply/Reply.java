package panamoe.conversation.reply;

import java.util.ArrayList;
import java.util.List;
import panamoe.data.Markers;

/**
 * An assistant's reply as it is written: thoughts, content and calls, told apart piece by piece.
 * Special tokens are in the text as {@link Markers}, each in one piece; none is told as text. Used
 * by one thread at a time.
 */
public final class Reply {
  private final ReplyReader reader;
  private final StringBuilder reasoning = new StringBuilder();
  private final StringBuilder content = new StringBuilder();
  private final List<Call> calls = new ArrayList<>();
  private long thoughtTokens;

  /** What is known after a piece, beside what was known before. */
  public record Read(String reasoning, String content, List<FunctionCall.Piece> calls) {}

  /** A call as far as it is known. */
  private static final class Call {
    final int index;
    final String id;
    final String name;
    final StringBuilder arguments = new StringBuilder();
    int depth;
    boolean quoted;
    boolean escaped;
    boolean whole;
    int told = -1; // of its arguments; -1: not even its name

    Call(int index, String id, String name) {
      this.index = index;
      this.id = id;
      this.name = name;
    }

    /** Reads a character of the object of arguments. */
    void step(char next) {
      arguments.append(next);
      if (quoted) {
        quoted = escaped || next != '"';
        escaped = !escaped && next == '\\';
        return;
      }
      switch (next) {
        case '"' -> quoted = true;
        case '{' -> depth++;
        case '}' -> whole = --depth == 0;
        default -> {}
      }
    }

    boolean isTold() {
      return told == arguments.length();
    }

    FunctionCall.Piece tell() {
      boolean begun = told >= 0;
      String more = arguments.substring(Math.max(told, 0));
      told = arguments.length();
      return new FunctionCall.Piece(index, begun ? null : id, begun ? null : name, more);
    }
  }

  Reply(ReplyReader reader) {
    this.reader = reader;
  }

  /** Reads the next piece of the text. */
  public Read next(String piece) {
    return next(piece, 0);
  }

  /**
   * Reads the next piece of the text.
   *
   * @param tokens of the piece: they count as thoughts' if it ends in the midst of these
   */
  public Read next(String piece, int tokens) {
    Read read = read(() -> reader.next(piece, this));
    thoughtTokens += reader.thinking() ? tokens : 0;
    return read;
  }

  /**
   * What is left at the end of the text.
   *
   * @param cut whether a limit or a stop text ended it: then a piece of a marker at its end, or of
   *     what is before a call's arguments, is no content
   */
  public Read end(boolean cut) {
    return read(() -> reader.end(cut, this));
  }

  private Read read(Runnable reading) {
    int thought = reasoning.length();
    int said = content.length();
    reading.run();
    return new Read(
        reasoning.substring(thought),
        content.substring(said),
        calls.stream().filter(call -> !call.isTold()).map(Call::tell).toList());
  }

  void think(String text) {
    reasoning.append(Markers.without(text));
  }

  void say(String text) {
    content.append(Markers.without(text));
  }

  /** A call begins. */
  void call(String id, String name) {
    calls.add(new Call(calls.size(), id, name));
  }

  /**
   * The latest call's arguments go on.
   *
   * @return how much of the text belongs to them
   */
  int arguments(CharSequence text) {
    Call call = calls.getLast();
    int at = 0;
    while (at < text.length() && !call.whole) {
      call.step(text.charAt(at++));
    }
    return at;
  }

  /** Whether the latest call's arguments are whole. */
  boolean argued() {
    return calls.getLast().whole;
  }

  /** Whether the text calls, and the arguments of each call are whole. */
  public boolean called() {
    return !calls.isEmpty() && calls.stream().allMatch(call -> call.whole);
  }

  /** What was thought so far. */
  public String reasoning() {
    return reasoning.toString();
  }

  /** What was said so far. */
  public String content() {
    return content.toString();
  }

  /** The calls so far. */
  public List<FunctionCall> calls() {
    return calls.stream()
        .map(call -> new FunctionCall(call.id, call.name, call.arguments.toString()))
        .toList();
  }

  /** Tokens after which the text was in the midst of thoughts. */
  public long thoughtTokens() {
    return thoughtTokens;
  }
}
