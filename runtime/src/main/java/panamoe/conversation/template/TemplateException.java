package panamoe.conversation.template;

import panamoe.io.Words;

/**
 * A chat template that is malformed, fails, or refuses a conversation. The message is one sentence.
 * It begins with the template's line, unless the template wrote it.
 */
public final class TemplateException extends RuntimeException {
  private final int line;
  private final boolean refusal;

  private TemplateException(String message, int line, boolean refusal) {
    super(message, null, false, false);
    this.line = line;
    this.refusal = refusal;
  }

  /** A failure by {@link Words#of}, at a line that is not known yet. */
  TemplateException(String pattern, Object... values) {
    this(Words.of(pattern, values), 0, false);
  }

  /** The template's own refusal of a conversation, by {@code raise_exception}. */
  static TemplateException refusal(String message) {
    return new TemplateException(message, 0, true);
  }

  /** This failure at a line, if it has none yet. */
  TemplateException at(int known) {
    return refusal || line > 0
        ? this
        : new TemplateException("line " + known + ": " + getMessage(), known, false);
  }

  /** A sentence for the author of the conversation. */
  public String reason() {
    return refusal ? getMessage() : "the chat template, " + getMessage();
  }

  /** The template's line, from 1; 0 for a refusal. */
  public int line() {
    return line;
  }

  /** Whether the template itself refused the conversation, by {@code raise_exception}. */
  public boolean isRefusal() {
    return refusal;
  }
}
