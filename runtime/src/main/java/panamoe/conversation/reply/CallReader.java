package panamoe.conversation.reply;

import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.grammar.Elements;
import tools.jackson.databind.JsonNode;

/**
 * Separates calls from content in a streamed reply. A call is reported when its arguments begin.
 * Text after an opener that is not a call is content; white space around calls is dropped.
 */
final class CallReader implements ReplyReader {
  /** What the unread text should be. */
  private enum Part {
    CONTENT,
    HEAD,
    ARGUMENTS,
    TAIL
  }

  private final CallSyntax syntax;
  private final Map<String, JsonNode> functions;
  private final Pattern tail;
  private final StringBuilder unread = new StringBuilder();
  private Part part = Part.CONTENT;
  private Pattern head; // of the next call
  private ElementReader elements; // of the latest call; null if its arguments are JSON
  private boolean blank = true; // no content since the last call
  private boolean called;

  /**
   * @param functions the schemas of arguments by the name of their function
   */
  CallReader(CallSyntax syntax, Map<String, JsonNode> functions) {
    this.syntax = syntax;
    this.functions = functions;
    this.tail = syntax.tail();
  }

  @Override
  public void next(String piece, Reply into) {
    unread.append(piece);
    boolean goesOn = true;
    while (goesOn) {
      goesOn =
          switch (part) {
            case CONTENT -> content(into);
            case HEAD -> head(into);
            case ARGUMENTS -> arguments(into);
            case TAIL -> tail();
          };
    }
  }

  @Override
  public void end(boolean cut, Reply into) {
    String held =
        switch (part) {
          case CONTENT -> unread.substring(0, cut ? certain() : unread.length());
          case HEAD -> cut ? "" : syntax.open() + unread;
          case ARGUMENTS, TAIL -> "";
        };
    unread.setLength(0);
    if (!called && !cut || !held.isBlank()) {
      into.say(held);
    }
  }

  /** Each of these returns whether more of the unread text can be read. */
  private boolean content(Reply into) {
    int open = unread.indexOf(syntax.open());
    if (open >= 0) {
      say(open, into);
      unread.delete(0, open + syntax.open().length());
      part = Part.HEAD;
      head = syntax.head();
      return true;
    }
    int certain = certain();
    if (!blank || !unread.substring(0, certain).isBlank()) {
      say(certain, into);
      unread.delete(0, certain);
    }
    return false;
  }

  /** The length of what is certainly content: the rest may begin a call. */
  private int certain() {
    return unread.length() - ReplyReader.begun(syntax.open(), unread);
  }

  private void say(int length, Reply into) {
    String text = unread.substring(0, length);
    if (!blank || !text.isBlank()) {
      into.say(text);
      blank &= text.isBlank();
    }
  }

  private boolean head(Reply into) {
    Matcher found = head.matcher(unread);
    if (found.lookingAt()) {
      into.call(syntax.id().get(), found.group(1));
      Elements written = syntax.calls().elements();
      if (written != null) {
        elements = new ElementReader(written, functions.get(found.group(1)));
        into.arguments("{");
      }
      called = true;
      unread.delete(0, found.end());
      part = Part.ARGUMENTS;
      return true;
    }
    if (!found.hitEnd()) {
      into.say(syntax.open()); // not a call
      blank = false;
      part = Part.CONTENT;
      return true;
    }
    return false;
  }

  private boolean arguments(Reply into) {
    if (elements == null) {
      unread.delete(0, into.arguments(unread));
    } else {
      into.arguments(elements.next(unread));
    }
    if (into.argued()) {
      part = Part.TAIL;
    }
    return into.argued();
  }

  private boolean tail() {
    Matcher found = tail.matcher(unread);
    if (!found.lookingAt()) {
      part = found.hitEnd() ? Part.TAIL : Part.CONTENT;
      return part == Part.CONTENT;
    }
    unread.delete(0, found.end());
    blank = true;
    head = syntax.nextHead();
    part = found.start(1) < 0 ? Part.CONTENT : Part.HEAD;
    return true;
  }
}
