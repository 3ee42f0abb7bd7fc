package panamoe.nn;

import panamoe.tensor.Tensor;

/**
 * How the rows of an activation [S, M] belong to sequences: what attention needs to know of a
 * batch.
 */
public sealed interface Sequences {

  /** Position of every row, INT32 [S]. */
  Tensor positions();

  /**
   * B whole sequences of L tokens, one after the other.
   *
   * @param positions INT32 [B * L]
   */
  record Whole(long batch, long length, Tensor positions) implements Sequences {}

  /**
   * Rows of running sequences, each with its place in a key/value cache. Any mix of prefill and
   * decode.
   *
   * @param slots INT32 [S], the cache slot of each row
   * @param positions INT32 [S]
   */
  record Running(KeyValueCache cache, Tensor slots, Tensor positions) implements Sequences {}
}
