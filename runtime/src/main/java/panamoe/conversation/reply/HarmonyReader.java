package panamoe.harness.serve;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.data.Markers;

/**
 * Reads GPT-OSS's answers: messages, each with a header that names a channel and perhaps whom it is
 * to. Messages to functions are calls, messages of the channel analysis thoughts, others content.
 * The prompt ends within the first header.
 */
final class HarmonyReader implements MessageReader {
  private static final String CHANNEL = Markers.of("<|channel|>");
  private static final String TO = " to=functions.";
  private static final Pattern FUNCTION = Pattern.compile("\\bto=functions\\.([\\w-]+)");

  /** What the next text is. */
  private enum Part {
    HEADER,
    REASONING,
    CONTENT,
    CALL,
    NOTHING
  }

  private final boolean calling;
  private final StringBuilder unread = new StringBuilder();
  private final StringBuilder header = new StringBuilder();
  private Part part = Part.HEADER;
  private int begun;
  private ObjectEnd arguments; // of the latest call
  private boolean brokenOff; // a call before the latest has no whole arguments
  private boolean headed;
  private boolean thought;
  private boolean said;
  // Of this piece.
  private final StringBuilder reasoning = new StringBuilder();
  private final StringBuilder content = new StringBuilder();
  private final List<ToolCall> calls = new ArrayList<>();

  /**
   * @param calling whether functions can be called; else messages to them are content
   */
  HarmonyReader(boolean calling) {
    this.calling = calling;
  }

  @Override
  public Read next(String piece) {
    unread.append(piece);
    for (int at = Markers.next(unread, 0); at >= 0; at = Markers.next(unread, 0)) {
      text(unread.substring(0, at));
      int end = Markers.end(unread, at);
      String marker = unread.substring(at, end);
      unread.delete(0, end);
      marker(marker);
    }
    text(unread.toString());
    unread.setLength(0);
    return read();
  }

  /** A text without a header is content. */
  @Override
  public Read end(boolean cut) {
    String text = header.toString();
    boolean piece = cut && (TO.startsWith(text) || text.startsWith(TO));
    if (part == Part.HEADER && !headed && !piece) {
      content.append(Markers.without(text));
    }
    part = Part.NOTHING;
    return read();
  }

  @Override
  public boolean thinking() {
    return part == Part.REASONING;
  }

  @Override
  public boolean called() {
    return begun > 0 && !brokenOff && arguments.reached();
  }

  private Read read() {
    Read read = new Read(reasoning.toString(), content.toString(), List.copyOf(calls));
    reasoning.setLength(0);
    content.setLength(0);
    calls.clear();
    return read;
  }

  private void marker(String marker) {
    headed = true;
    switch (Markers.name(marker)) {
      case "<|start|>" -> {
        header.setLength(0);
        part = Part.HEADER;
      }
      case "<|channel|>" -> {
        if (part != Part.HEADER) {
          header.setLength(0);
          part = Part.HEADER;
        }
        header.append(marker);
      }
      case "<|message|>" -> message();
      case "<|end|>", "<|call|>", "<|return|>" -> part = Part.NOTHING;
      default -> {
        if (part == Part.HEADER) {
          header.append(' '); // such as <|constrain|> between a name and a type
        }
      }
    }
  }

  /** A header is whole. */
  private void message() {
    Matcher function = FUNCTION.matcher(header.toString());
    int channel = header.indexOf(CHANNEL);
    String name = channel < 0 ? "" : header.substring(channel + CHANNEL.length()).strip();
    header.setLength(0);
    if (calling && function.find()) {
      brokenOff |= begun > 0 && !arguments.reached();
      calls.add(ToolCall.begun(begun++, ToolCall.newId(), function.group(1), ""));
      arguments = new ObjectEnd();
      part = Part.CALL;
    } else if (name.startsWith("analysis")) {
      reasoning.append(thought ? "\n" : "");
      thought = true;
      part = Part.REASONING;
    } else {
      content.append(said ? "\n" : "");
      said = true;
      part = Part.CONTENT;
    }
  }

  private void text(String text) {
    if (text.isEmpty()) {
      return;
    }
    switch (part) {
      case HEADER -> header.append(text);
      case REASONING -> reasoning.append(text);
      case CONTENT -> content.append(text);
      case CALL -> {
        arguments.next(text);
        ToolCall.addArguments(calls, begun - 1, text);
      }
      case NOTHING -> {}
    }
  }
}
