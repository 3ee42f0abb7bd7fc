package panamoe.harness.serve;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;

/**
 * Tells the calls in an assistant's text from its content, piece by piece. A call is told as soon
 * as its arguments begin. What looks like a call but has not its form is content; white space
 * around calls is nothing.
 */
final class ToolCallReader {
  /** What is known after a piece, beside what was known before. */
  record Read(String content, List<ToolCall> calls) {}

  /** What the unread text is expected to be. */
  private enum Part {
    CONTENT,
    HEAD,
    ARGUMENTS,
    TAIL
  }

  private final CallSyntax syntax;
  private final StringBuilder unread = new StringBuilder();
  private Part part = Part.CONTENT;
  private boolean blank = true; // no content since the last call
  private int begun;
  private ObjectEnd arguments; // of the latest call
  // Of this piece.
  private StringBuilder content = new StringBuilder();
  private List<ToolCall> calls = new ArrayList<>();

  ToolCallReader(CallSyntax syntax) {
    this.syntax = syntax;
  }

  /** Reads the next piece of the text. */
  Read next(String piece) {
    unread.append(piece);
    boolean goesOn = true;
    while (goesOn) {
      goesOn =
          switch (part) {
            case CONTENT -> content();
            case HEAD -> head();
            case ARGUMENTS -> arguments();
            case TAIL -> tail();
          };
    }
    return read();
  }

  /**
   * The content that was held back, at the end of the text.
   *
   * @param cut whether it may end in the midst of what is before a call's arguments
   */
  String end(boolean cut) {
    String held =
        switch (part) {
          case CONTENT -> unread.substring(0, cut ? certain() : unread.length());
          case HEAD -> cut ? "" : syntax.open() + unread;
          case ARGUMENTS, TAIL -> "";
        };
    unread.setLength(0);
    return begun > 0 && held.isBlank() ? "" : held;
  }

  /** Whether the text calls, and the arguments of each call are whole. */
  boolean called() {
    return begun > 0 && arguments.reached();
  }

  private Read read() {
    Read read = new Read(content.toString(), List.copyOf(calls));
    content = new StringBuilder();
    calls = new ArrayList<>();
    return read;
  }

  /** Each of these returns whether more can be read of what is there. */
  private boolean content() {
    int open = unread.indexOf(syntax.open());
    if (open >= 0) {
      tell(open);
      unread.delete(0, open + syntax.open().length());
      part = Part.HEAD;
      return true;
    }
    int certain = certain();
    if (!blank || !unread.substring(0, certain).isBlank()) {
      tell(certain);
      unread.delete(0, certain);
    }
    return false;
  }

  /** The length of what is content for certain: what follows may begin a call. */
  private int certain() {
    int most = Math.min(unread.length(), syntax.open().length() - 1);
    for (int last = most; last > 0; last--) {
      int start = unread.length() - last;
      if (syntax.open().startsWith(unread.substring(start))) {
        return start;
      }
    }
    return unread.length();
  }

  private void tell(int length) {
    String text = unread.substring(0, length);
    if (!blank || !text.isBlank()) {
      content.append(text);
      blank &= text.isBlank();
    }
  }

  private boolean head() {
    Matcher head = syntax.head().matcher(unread);
    if (head.lookingAt()) {
      calls.add(ToolCall.begun(begun++, syntax.id().get(), head.group(1), ""));
      unread.delete(0, head.end());
      arguments = new ObjectEnd();
      part = Part.ARGUMENTS;
      return true;
    }
    if (!head.hitEnd()) {
      content.append(syntax.open()); // it was no call
      blank = false;
      part = Part.CONTENT;
      return true;
    }
    return false;
  }

  private boolean arguments() {
    int end = arguments.next(unread);
    if (end > 0) {
      ToolCall.addArguments(calls, begun - 1, unread.substring(0, end));
      unread.delete(0, end);
    }
    if (arguments.reached()) {
      part = Part.TAIL;
    }
    return arguments.reached();
  }

  private boolean tail() {
    Matcher tail = syntax.tail().matcher(unread);
    boolean closed = tail.lookingAt();
    boolean again = closed && tail.groupCount() > 0 && tail.group(1) != null;
    if (closed) {
      blank = true;
      unread.delete(0, tail.end());
    }
    if (again) {
      part = Part.HEAD;
      return true;
    }
    if (closed || !tail.hitEnd()) {
      part = Part.CONTENT;
      return true;
    }
    return false;
  }
}
