package panamoe.engine;

import panamoe.engine.routes.RouteStatistics;

/**
 * A generated text that has ended.
 *
 * @param text without the prompt and the stop text
 * @param end why it ended
 * @param cut whether a limit or a stop text ended it in the midst, and no token of the model's
 * @param tokens number of generated tokens
 * @param promptTokens number of prompt tokens
 * @param sharedTokens how many of them were not computed, because an earlier text began alike
 * @param times when what happened
 * @param routes of its rows, each counted once however often it was computed, without the shared
 *     tokens'; null if not asked for
 */
public record Generation(
    String text,
    End end,
    boolean cut,
    int tokens,
    int promptTokens,
    int sharedTokens,
    Times times,
    RouteStatistics routes) {
  /** Why generation ended. */
  public enum End {
    /** The model generated its end-of-text token. */
    END_OF_TEXT,
    /** A stop text or a stop token was generated. */
    STOP,
    /** The limit on tokens, or the end of the context, was reached. */
    LENGTH,
    /** The time was over. */
    DEADLINE,
    /** Nobody wants it any more. */
    CANCELLED
  }

  /**
   * Nanoseconds of {@link System#nanoTime}.
   *
   * @param submitted when it was asked for
   * @param started when it got room, the first time
   * @param first when its first token was there; 0: none was
   * @param ended when its last token was there
   */
  public record Times(long submitted, long started, long first, long ended) {
    /** Seconds from start to first token. */
    public double prefillSeconds() {
      return first == 0 ? 0 : (first - started) / 1e9;
    }

    /** Seconds after the first token. */
    public double decodeSeconds() {
      return first == 0 ? 0 : (ended - first) / 1e9;
    }
  }
}
