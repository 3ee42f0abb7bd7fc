package panamoe.conversation.reply;

import panamoe.data.Markers;
import panamoe.data.Tokenizer;

/**
 * Separates thoughts, between {@code <think>} and {@code </think>} at the beginning of a streamed
 * reply, from the rest. White space next to the tags is dropped.
 */
final class ReasoningReader implements ReplyReader {
  /** What the unread text should be. */
  private enum Part {
    BEGINNING,
    REASONING,
    CONTENT
  }

  private final String open;
  private final String close;
  private final ReplyReader content;
  private final StringBuilder unread = new StringBuilder();
  private Part part;

  /** Whether to drop white space that comes next. */
  private boolean atBorder;

  /**
   * @param begun whether the prompt ends within thoughts
   * @param content reads the text after the thoughts
   */
  ReasoningReader(Tokenizer tokenizer, boolean begun, ReplyReader content) {
    this.open = Markers.in(tokenizer, ReplyForm.THINK);
    this.close = Markers.in(tokenizer, ReplyForm.THOUGHT);
    this.content = content;
    part = begun ? Part.REASONING : Part.BEGINNING;
    atBorder = begun;
  }

  @Override
  public void next(String piece, Reply into) {
    unread.append(piece);
    if (part == Part.BEGINNING) {
      begin();
    }
    if (part == Part.REASONING) {
      into.think(reasoning());
    }
    if (part == Part.CONTENT) {
      content.next(take(unread.length()), into);
    }
  }

  @Override
  public boolean thinking() {
    return part == Part.REASONING;
  }

  /** If a reply is cut off outside its content, the beginning of a tag is dropped. */
  @Override
  public void end(boolean cut, Reply into) {
    if (part == Part.CONTENT || !cut) {
      String left = take(unread.length());
      if (part == Part.REASONING) {
        into.think(left.stripTrailing());
      } else {
        content.next(left, into);
      }
    }
    content.end(cut, into);
  }

  private void begin() {
    String text = unread.toString().stripLeading();
    if (text.startsWith(open)) {
      unread.setLength(0);
      unread.append(text, open.length(), text.length());
      part = Part.REASONING;
      atBorder = true;
    } else if (!open.startsWith(text)) {
      part = Part.CONTENT;
    }
  }

  private String reasoning() {
    int end = unread.indexOf(close);
    if (end >= 0) {
      String reasoning = take(end).stripTrailing();
      unread.delete(0, close.length());
      part = Part.CONTENT;
      atBorder = true;
      return reasoning;
    }
    int certain = unread.length() - ReplyReader.begun(close, unread);
    while (certain > 0 && Character.isWhitespace(unread.charAt(certain - 1))) {
      certain--;
    }
    return take(certain);
  }

  private String take(int length) {
    String text = unread.substring(0, length);
    unread.delete(0, length);
    if (atBorder) {
      text = text.stripLeading();
      atBorder = text.isEmpty();
    }
    return text;
  }
}
