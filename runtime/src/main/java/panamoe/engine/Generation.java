package panamoe.engine;

import panamoe.engine.routes.RouteStatistics;

/**
 * A finished completion.
 *
 * @param text without the prompt and the stop string
 * @param end why it ended
 * @param stopString the stop string that ended it; null for none
 * @param tokens number of generated tokens
 * @param promptTokens number of prompt tokens
 * @param sharedTokens prompt tokens that prefix sharing took from the cache
 * @param times of its events
 * @param routes of its rows, each counted once even if it was computed again, without those of
 *     shared tokens; null if not asked for
 */
public record Generation(
    String text,
    End end,
    String stopString,
    int tokens,
    int promptTokens,
    int sharedTokens,
    Times times,
    RouteStatistics routes) {
  /** Why generation ended. */
  public enum End {
    /** The model generated its end-of-text token. */
    END_OF_TEXT,
    /** A stop string or a stop token was generated. */
    STOP,
    /** The limit on tokens, or the end of the context, was reached. */
    LENGTH,
    /** The deadline has passed. */
    DEADLINE,
    /** The request was cancelled. */
    CANCELLED
  }

  /** Whether it ended without a token of the model's: at a limit, or at a stop string. */
  public boolean cut() {
    return switch (end) {
      case END_OF_TEXT -> false;
      case STOP -> stopString != null;
      case LENGTH, DEADLINE, CANCELLED -> true;
    };
  }

  /**
   * Nanoseconds of {@link System#nanoTime}.
   *
   * @param submitted when the request was submitted
   * @param started when the sequence was first scheduled
   * @param first when its first token was sampled; 0 if there was none
   * @param ended when its last token was sampled
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
