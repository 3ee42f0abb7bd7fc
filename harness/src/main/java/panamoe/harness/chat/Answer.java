package panamoe.harness.chat;

import panamoe.conversation.reply.Reply;

/** An answer while it is streamed: its thoughts and content, and what is printed. */
final class Answer {
  private static final String DIM = "\u001b[2m";
  private static final String PLAIN = "\u001b[0m";

  private final Reply reply;
  private final WrappedText out;
  private final boolean thoughts;
  private boolean thought;
  private boolean said;

  /**
   * @param out receives it; null for no output
   * @param thoughts whether to print thoughts, dimmed; not without output
   */
  Answer(Reply reply, WrappedText out, boolean thoughts) {
    this.reply = reply;
    this.out = out;
    this.thoughts = thoughts;
  }

  /** Adds a piece of the completion. */
  void next(String piece) {
    tell(reply.next(piece));
  }

  /** Ends the answer; {@code cut} if it was cut off. */
  void end(boolean cut) {
    tell(reply.end(cut));
    if (out != null) {
      out.style(thoughts && thought && !said ? PLAIN : "");
    }
  }

  private void tell(Reply.Read read) {
    if (!read.reasoning().isEmpty()) {
      if (thoughts) {
        if (!thought) {
          out.style(DIM);
        }
        out.print(read.reasoning());
      }
      thought = true;
    }
    // Blanks at the beginning of an answer belong to the prompt's format.
    String more = said ? read.content() : read.content().stripLeading();
    if (!more.isEmpty()) {
      if (thoughts && thought && !said) {
        out.style(PLAIN);
        out.print("\n");
      }
      said = true;
      if (out != null) {
        out.print(more);
      }
    }
  }

  String thought() {
    return reply.reasoning();
  }

  String said() {
    return reply.content().strip();
  }
}
