package panamoe.harness.serve;

/** A text that is taken apart as it is told, and the tokens of its thoughts. */
final class ReadText {
  private final MessageReader reader;
  private long thoughtTokens;

  ReadText(MessageReader reader) {
    this.reader = reader;
  }

  MessageReader.Read next(TextEvent.Piece piece) {
    MessageReader.Read read = reader.next(piece.marked());
    thoughtTokens += reader.thinking() ? piece.drawn().size() : 0;
    return read;
  }

  MessageReader.Read end(WrittenText text) {
    return reader.end(text.generation().cut());
  }

  boolean called() {
    return reader.called();
  }

  /** Tokens after which the text was in the midst of thoughts. */
  long thoughtTokens() {
    return thoughtTokens;
  }
}
