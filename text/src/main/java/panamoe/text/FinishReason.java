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
  /** It was cancelled, or its thread interrupted. */
  CANCELLED;

  static FinishReason of(Generation.End end) {
    return switch (end) {
      case END_OF_TEXT -> END_OF_TEXT;
      case STOP -> STOP;
      case LENGTH -> LENGTH;
      case CANCELLED, DEADLINE -> CANCELLED;
    };
  }
}
