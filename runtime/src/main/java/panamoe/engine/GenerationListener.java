package panamoe.engine;

import panamoe.engine.sample.TokenLogprobs;

/**
 * Is told how a text is written, by the engine's thread, which waits meanwhile: a method hands over
 * what it gets and returns. An exception that it throws cancels the text, and reaches whoever
 * drives the engine.
 */
public interface GenerationListener {
  /**
   * A token was drawn; not the one that ends the text.
   *
   * @param logprobs null if not asked for
   * @param experts null if not asked for; else for each MoE layer the expert of the largest weight
   *     in the row that the token was drawn from
   */
  default void drew(int token, TokenLogprobs logprobs, int[] experts) {}

  /**
   * The next piece of the text, as soon as its characters are complete and cannot be part of a stop
   * text.
   */
  default void wrote(String piece) {}

  /**
   * A special token was drawn, behind all that was written so far. It is no part of the text.
   *
   * @param name of the token
   */
  default void marked(String name) {}

  /** The text has ended; nothing follows. */
  default void ended(Generation generation) {}

  /** The text failed, through no fault of the others; nothing follows. */
  default void failed(RuntimeException failure) {}
}
