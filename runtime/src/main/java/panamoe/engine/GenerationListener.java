package panamoe.engine;

import java.util.List;
import panamoe.engine.sample.TokenLogprobs;

/**
 * Receives a completion as it is generated. The engine's thread calls it and waits, so a method
 * hands over what it gets and returns. An exception that it throws cancels the sequence and reaches
 * the thread that drives the engine.
 */
public interface GenerationListener {
  /**
   * A token was sampled. Not called for the token that ends the sequence.
   *
   * @param logprobs null if not asked for
   * @param experts null if not asked for; else for each MoE layer the expert with the largest
   *     weight in the row whose logits the token was sampled from
   */
  default void sampled(int token, TokenLogprobs logprobs, int[] experts) {}

  /**
   * The log probabilities of the prompt's next tokens, from its second one on, in several parts,
   * for {@link Readout#LOGPROBS}; before any token is sampled.
   */
  default void prompted(List<TokenLogprobs> logprobs) {}

  /**
   * The token that ends the sequence was sampled; it does not belong to the sequence. Called before
   * {@link #ended} if log probabilities are asked for.
   */
  default void ending(int token, TokenLogprobs logprobs) {}

  /** The next piece of text: whole characters that cannot be part of a stop string. */
  default void wrote(String piece) {}

  /**
   * A special token was sampled, after all text so far. It is not part of the text.
   *
   * @param name of the token
   */
  default void marked(String name) {}

  /**
   * The prompt's rows were read, before {@link #ended}.
   *
   * @param values of the request's {@link Readout}, for the listener to keep
   */
  default void read(float[] values) {}

  /** The sequence has ended; no call follows. */
  default void ended(Generation generation) {}

  /** The sequence failed on its own; other sequences go on. No call follows. */
  default void failed(RuntimeException failure) {}
}
