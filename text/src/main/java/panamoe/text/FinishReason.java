package panamoe.text;

import panamoe.engine.Generation;

/** Why a completion ended. */
public enum FinishReason {
  /** The model generated its end-of-text token. */
  END_OF_TEXT,
  /** A stop string was generated, or the end of the model's turn in a conversation. */
  STOP,
  /** The maximum number of tokens was generated. */
  LENGTH,
  /** The model's context is full, and {@link GenerationOptions#slide} is false. */
  CONTEXT,
  /** The request's deadline passed. */
  DEADLINE,
  /** It was cancelled, or its thread was interrupted. */
  CANCELLED;

  /**
   * @param maxTokens maximum number of tokens
   */
  static FinishReason of(Generation generation, int maxTokens) {
    return switch (generation.end()) {
      case END_OF_TEXT -> END_OF_TEXT;
      case STOP -> STOP;
      case LENGTH -> generation.tokens() == maxTokens ? LENGTH : CONTEXT;
      case DEADLINE -> DEADLINE;
      case CANCELLED -> CANCELLED;
    };
  }
}
