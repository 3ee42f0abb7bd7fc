package panamoe.engine;

/** A submitted request. Thread-safe. */
public interface GenerationHandle {
  /** Ends the sequence before its next token; its listener gets {@code ended}. Idempotent. */
  void cancel();
}
