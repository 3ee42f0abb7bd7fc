package panamoe.engine;

/**
 * What a request reads of its prompt's rows, instead of a completion or before it. The final hidden
 * states [M] are those after the last norm, in float32.
 */
public enum Readout {
  /** The final hidden state of the last token: pooling {@code last}. */
  LAST,
  /** The mean of all tokens' final hidden states, summed in float64: pooling {@code mean}. */
  MEAN,
  /** The final hidden state of the first token: pooling {@code cls}. */
  FIRST,
  /** The logits [V] of the token after the last one. */
  LOGITS,
  /**
   * The log probabilities of all tokens but the first, after which the completion follows: {@link
   * GenerationListener#prompted}. No row is taken from the cache that shared prefixes leave.
   */
  LOGPROBS
}
