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
    return read(
        thoughts == null ? new ReasoningReader.Read("", piece) : thoughts.next(piece), false);
  }

  @Override
  public Read end() {
    return read(thoughts == null ? new ReasoningReader.Read("", "") : thoughts.end(), true);
  }

  private Read read(ReasoningReader.Read told, boolean end) {
    String reasoning = Markers.without(told.reasoning());
    if (calls == null) {
      return new Read(reasoning, Markers.without(told.content()), List.of());
    }
    ToolCallReader.Read read = calls.next(told.content());
    String content = read.content() + (end ? calls.end().content() : "");
    return new Read(reasoning, Markers.without(content), read.calls());
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
