package panamoe.text;

import panamoe.engine.Generation;

/** Why a text ended. */
public enum FinishReason {
  /** The model wrote its end-of-text token. */
  END_OF_TEXT,
  /** One of the stop texts was written, or what ends a turn of the model's conversations. */
  STOP,
  /** The largest number of tokens was written. */
  LENGTH,
  /** The model's context is full, and {@link GenerationOptions#slide} is false. */
  CONTEXT,
  /** It was cancelled, or its thread interrupted. */
  CANCELLED;

  /**
   * @param maxTokens largest number of tokens
   */
  static FinishReason of(Generation generation, int maxTokens) {
    return switch (generation.end()) {
      case END_OF_TEXT -> END_OF_TEXT;
      case STOP -> STOP;
      case LENGTH -> generation.tokens() == maxTokens ? LENGTH : CONTEXT;
      case CANCELLED, DEADLINE -> CANCELLED;
    };
  }
}
