package panamoe.harness.serve;

import panamoe.conversation.template.Prompt;

/**
 * Tells what a model thinks, between {@code <think>} and {@code </think>} at the beginning of its
 * text, from what it answers, piece by piece. White space at the borders is nothing.
 */
final class ReasoningReader {
  private static final String OPEN = "<think>";
  private static final String CLOSE = "</think>";

  /** What is known after a piece, beside what was known before. */
  record Read(String reasoning, String content) {}

  /** What the unread text is expected to be. */
  private enum Part {
    BEGINNING,
    REASONING,
    CONTENT
  }

  private final StringBuilder unread = new StringBuilder();
  private Part part;

  /** Whether white space that is next is left out. */
  private boolean atBorder;

  /**
   * @param begun whether the prompt ends in the midst of thoughts
   */
  ReasoningReader(boolean begun) {
    part = begun ? Part.REASONING : Part.BEGINNING;
    atBorder = begun;
  }

  /** Whether a prompt ends in the midst of thoughts, which the template has begun. */
  static boolean isBegun(Prompt prompt) {
    String text = prompt.text().stripTrailing();
    return text.endsWith(OPEN) && !prompt.literal().get(text.length() - 1);
  }

  /** Reads the next piece of the text. */
  Read next(String piece) {
    unread.append(piece);
    if (part == Part.BEGINNING) {
      begin();
    }
    String reasoning = part == Part.REASONING ? reasoning() : "";
    return new Read(reasoning, part == Part.CONTENT ? told(unread.length()) : "");
  }

  /** Whether what was read ends in the midst of thoughts. */
  boolean thinking() {
    return part == Part.REASONING;
  }

  /**
   * What is left at the end of the text.
   *
   * @param cut whether it may end in the midst of a tag
   */
  Read end(boolean cut) {
    if (cut && part != Part.CONTENT) { // only a tag's beginning is held back
      return new Read("", "");
    }
    String left = told(unread.length());
    return part == Part.REASONING ? new Read(left.stripTrailing(), "") : new Read("", left);
  }

  private void begin() {
    String text = unread.toString().stripLeading();
    if (text.startsWith(OPEN)) {
      unread.setLength(0);
      unread.append(text, OPEN.length(), text.length());
      part = Part.REASONING;
      atBorder = true;
    } else if (!OPEN.startsWith(text)) {
      part = Part.CONTENT;
    }
  }

  private String reasoning() {
    int close = unread.indexOf(CLOSE);
    if (close >= 0) {
      String reasoning = told(close).stripTrailing();
      unread.delete(0, CLOSE.length());
      part = Part.CONTENT;
      atBorder = true;
      return reasoning;
    }
    int certain = unread.length();
    for (int last = Math.min(certain, CLOSE.length() - 1); last > 0; last--) {
      if (CLOSE.startsWith(unread.substring(unread.length() - last))) {
        certain = unread.length() - last;
        break;
      }
    }
    while (certain > 0 && Character.isWhitespace(unread.charAt(certain - 1))) {
      certain--;
    }
    return told(certain);
  }

  private String told(int length) {
    String text = unread.substring(0, length);
    unread.delete(0, length);
    if (atBorder) {
      text = text.stripLeading();
      atBorder = text.isEmpty();
    }
    return text;
  }
}
