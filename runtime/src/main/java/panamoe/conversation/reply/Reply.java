package panamoe.conversation.reply;

import java.util.ArrayList;
import java.util.List;
import panamoe.data.Markers;

/**
 * A streamed reply, separated into thoughts, content and calls. Special tokens come as {@link
 * Markers}, each within one piece, and are never part of the content. Used by one thread at a time.
 */
public final class Reply {
  private final ReplyReader reader;
  private final StringBuilder reasoning = new StringBuilder();
  private final StringBuilder content = new StringBuilder();
  private final List<Call> calls = new ArrayList<>();
  private long thoughtTokens;

  /** The new parts of a reply after a piece. */
  public record Read(String reasoning, String content, List<FunctionCall.Piece> calls) {}

  /** A call as far as it was read. */
  private static final class Call {
    final int index;
    final String id;
    final String name;
    final StringBuilder arguments = new StringBuilder();
    int depth;
    boolean quoted;
    boolean escaped;
    boolean whole;
    int reported = -1; // length of the arguments that were returned; -1 if not even the name was

    Call(int index, String id, String name) {
      this.index = index;
      this.id = id;
      this.name = name;
    }

    /** Reads a character of the arguments' object. */
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

    boolean isReported() {
      return reported == arguments.length();
    }

    FunctionCall.Piece report() {
      boolean begun = reported >= 0;
      String more = arguments.substring(Math.max(reported, 0));
      reported = arguments.length();
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
   * @param tokens in the piece: they count as reasoning tokens if the piece ends within thoughts
   */
  public Read next(String piece, int tokens) {
    Read read = read(() -> reader.next(piece, this));
    thoughtTokens += reader.thinking() ? tokens : 0;
    return read;
  }

  /**
   * Ends the reply and returns what was held back.
   *
   * @param cut whether a limit or a stop string ended it: the beginning of a marker or of a call's
   *     head is then dropped, not content
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
        calls.stream().filter(call -> !call.isReported()).map(Call::report).toList());
  }

  void think(String text) {
    reasoning.append(Markers.without(text));
  }

  void say(String text) {
    content.append(Markers.without(text));
  }

  void call(String id, String name) {
    calls.add(new Call(calls.size(), id, name));
  }

  /**
   * Continues the latest call's arguments.
   *
   * @return the length of the text that belongs to them
   */
  int arguments(CharSequence text) {
    Call call = calls.getLast();
    int at = 0;
    while (at < text.length() && !call.whole) {
      call.step(text.charAt(at++));
    }
    return at;
  }

  /** Whether the latest call's arguments are complete. */
  boolean argued() {
    return calls.getLast().whole;
  }

  /** Whether there are calls and the arguments of each are complete. */
  public boolean called() {
    return !calls.isEmpty() && calls.stream().allMatch(call -> call.whole);
  }

  /** The thoughts so far. */
  public String reasoning() {
    return reasoning.toString();
  }

  /** The content so far. */
  public String content() {
    return content.toString();
  }

  /** The calls so far. */
  public List<FunctionCall> calls() {
    return calls.stream()
        .map(call -> new FunctionCall(call.id, call.name, call.arguments.toString()))
        .toList();
  }

  /** The number of reasoning tokens so far. */
  public long thoughtTokens() {
    return thoughtTokens;
  }
}
