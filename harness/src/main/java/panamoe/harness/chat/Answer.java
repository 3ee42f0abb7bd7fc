package panamoe.harness.chat;

import java.io.PrintWriter;
import panamoe.conversation.reply.Reply;

/** An answer as it is written: what is thought and said of it, and what of that is shown. */
final class Answer {
  private static final String DIM = "\u001b[2m";
  private static final String PLAIN = "\u001b[0m";

  private final Reply reply;
  private final PrintWriter out;
  private final boolean thoughts;
  private boolean thought;
  private boolean said;

  /**
   * @param out receives it; null: nobody
   * @param thoughts whether thoughts are shown, dimmed
   */
  Answer(Reply reply, PrintWriter out, boolean thoughts) {
    this.reply = reply;
    this.out = out;
    this.thoughts = thoughts;
  }

  /** Goes on with a piece of the text. */
  void next(String piece) {
    tell(reply.next(piece));
  }

  /** Tells what is left at the end, which may have {@code cut} the text in the midst. */
  void end(boolean cut) {
    tell(reply.end(cut));
    if (thoughts && thought && !said) {
      show(PLAIN);
    }
  }

  private void tell(Reply.Read read) {
    if (!read.reasoning().isEmpty()) {
      if (thoughts) {
        show((thought ? "" : DIM) + read.reasoning());
      }
      thought = true;
    }
    // The blanks at the beginning of an answer are the prompt's form.
    String more = said ? read.content() : read.content().stripLeading();
    if (!more.isEmpty()) {
      if (thoughts && thought && !said) {
        show(PLAIN + "\n");
      }
      said = true;
      show(more);
    }
  }

  private void show(String text) {
    if (out != null) {
      out.print(text);
      out.flush();
    }
  }

  /** What it thought. */
  String thought() {
    return reply.reasoning();
  }

  /** What it said. */
  String said() {
    return reply.content().strip();
  }
}
