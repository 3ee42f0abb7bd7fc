package panamoe.harness.serve.completion;

import panamoe.engine.Generation;

/**
 * A finish reason, as responses have it.
 *
 * @param reason OpenAI's word
 * @param panamoe a detail that OpenAI's word lacks; null for none
 */
public record Finish(String reason, Detail panamoe) {
  /**
   * @param finish {@code deadline}
   */
  public record Detail(String finish) {}

  static Finish of(Generation.End end) {
    return switch (end) {
      case END_OF_TEXT, STOP -> new Finish("stop", null);
      case LENGTH -> new Finish("length", null);
      case DEADLINE -> new Finish("length", new Detail("deadline"));
      case CANCELLED -> new Finish("abort", null);
    };
  }
}
