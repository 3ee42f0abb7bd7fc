package panamoe.harness.serve;

import java.util.List;
import panamoe.data.Markers;

/** Reads texts that begin with thoughts between tags, and have calls within their content. */
final class TaggedReader implements MessageReader {
  private final ReasoningReader thoughts;
  private final ToolCallReader calls;

  /**
   * @param thoughts null if the text has none
   * @param calls null if nothing can be called
   */
  TaggedReader(ReasoningReader thoughts, ToolCallReader calls) {
    this.thoughts = thoughts;
    this.calls = calls;
  }

  @Override
  public Read next(String piece) {
    return read(thoughts == null ? new ReasoningReader.Read("", piece) : thoughts.next(piece));
  }

  @Override
  public Read end(boolean cut) {
    Read left = read(thoughts == null ? new ReasoningReader.Read("", "") : thoughts.end(cut));
    String held = calls == null ? "" : Markers.without(calls.end(cut));
    return new Read(left.reasoning(), left.content() + held, left.calls());
  }

  private Read read(ReasoningReader.Read told) {
    ToolCallReader.Read read =
        calls == null
            ? new ToolCallReader.Read(told.content(), List.of())
            : calls.next(told.content());
    return new Read(
        Markers.without(told.reasoning()), Markers.without(read.content()), read.calls());
  }

  @Override
  public boolean thinking() {
    return thoughts != null && thoughts.thinking();
  }

  @Override
  public boolean called() {
    return calls != null && calls.called();
  }
}
