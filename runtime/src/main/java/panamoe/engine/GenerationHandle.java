package panamoe.engine;

/** A text that was asked for. Thread-safe. */
public interface GenerationHandle {
  /** Ends the text before its next token; its listener is told. Idempotent. */
  void cancel();
}
