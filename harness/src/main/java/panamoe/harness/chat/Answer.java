package panamoe.harness.chat;

import java.io.PrintWriter;
import panamoe.harness.serve.MessageReader;

/** An answer as it is written: what is thought and said of it, and what of that is shown. */
final class Answer {
  private static final String DIM = "\u001b[2m";
  private static final String PLAIN = "\u001b[0m";

  private final MessageReader reader;
  private final PrintWriter out;
  private final boolean thoughts;
  private final StringBuilder thought = new StringBuilder();
  private final StringBuilder said = new StringBuilder();

  /**
   * @param out receives it; null: nobody
   * @param thoughts whether thoughts are shown, dimmed
   */
  Answer(MessageReader reader, PrintWriter out, boolean thoughts) {
    this.reader = reader;
    this.out = out;
    this.thoughts = thoughts;
  }

  /** Goes on with a piece of the text. */
  void next(String piece) {
    tell(reader.next(piece));
  }

  /** Tells what is left at the end, which may have {@code cut} the text in the midst. */
  void end(boolean cut) {
    tell(reader.end(cut));
    if (thoughts && said.isEmpty() && !thought.isEmpty()) {
      show(PLAIN);
    }
  }

  private void tell(MessageReader.Read read) {
    if (!read.reasoning().isEmpty()) {
      if (thoughts) {
        show((thought.isEmpty() ? DIM : "") + read.reasoning());
      }
      thought.append(read.reasoning());
    }
    // The blanks at the beginning of an answer are the prompt's form.
    String more = said.isEmpty() ? read.content().stripLeading() : read.content();
    if (!more.isEmpty()) {
      if (thoughts && said.isEmpty() && !thought.isEmpty()) {
        show(PLAIN + "\n");
      }
      said.append(more);
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
    return thought.toString();
  }

  /** What it said. */
  String said() {
    return said.toString().strip();
  }
}
