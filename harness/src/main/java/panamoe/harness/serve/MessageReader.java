package panamoe.harness.serve;

import java.util.List;

/** Takes an assistant's text apart, piece by piece: thoughts, content, calls. */
final class MessageReader {
  /** What is known after a piece, beside what was known before. */
  record Read(String reasoning, String content, List<ToolCall> calls) {}

  private final ReasoningReader thoughts;
  private final ToolCallReader calls;

  /**
   * @param thoughts null if the text has none
   * @param calls null if nothing can be called
   */
  MessageReader(ReasoningReader thoughts, ToolCallReader calls) {
    this.thoughts = thoughts;
    this.calls = calls;
  }

  /** Reads the next piece of the text. */
  Read next(String piece) {
    return read(
        thoughts == null ? new ReasoningReader.Read("", piece) : thoughts.next(piece), false);
  }

  /** What is left at the end of the text. */
  Read end() {
    return read(thoughts == null ? new ReasoningReader.Read("", "") : thoughts.end(), true);
  }

  private Read read(ReasoningReader.Read told, boolean end) {
    if (calls == null) {
      return new Read(told.reasoning(), told.content(), List.of());
    }
    ToolCallReader.Read read = calls.next(told.content());
    String content = read.content() + (end ? calls.end().content() : "");
    return new Read(told.reasoning(), content, read.calls());
  }

  /** Whether the text has a whole call. */
  boolean called() {
    return calls != null && calls.called();
  }
}
