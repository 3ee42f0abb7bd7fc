package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * Causal attention and rotary positions. Letters: B sequences, L tokens each, H query heads, G
 * key/value heads, D head size. q, out and gradients [B, L, H, D]; k, v and gradients [B, L, G, D];
 * one floating dtype a call.
 */
public interface AttentionKernels {
  /**
   * Rotates x [S, N, D] by its row's angle: cosine, sine FLOAT32 [P, R/2], R rotated dimensions.
   * positions INT32 [S].
   *
   * @param interleaved pairs (2i, 2i + 1) instead of (i, i + R/2)
   * @param direction 1, or -1 for the inverse, which is the backward
   */
  void rotary(
      Tensor x,
      Tensor positions,
      Tensor cosine,
      Tensor sine,
      boolean interleaved,
      int direction,
      Tensor y);

  /**
   * window 0 attends to all earlier tokens, otherwise to the last {@code window}. logsumexp [B, H,
   * L] or null.
   */
  void attentionForward(
      Tensor q, Tensor k, Tensor v, float scale, long window, Tensor out, Tensor logsumexp);

  void attentionBackward(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logsumexp,
      Tensor dout,
      float scale,
      long window,
      Tensor dq,
      Tensor dk,
      Tensor dv);

  /**
   * Row t of k, v [T, G, D] goes to (slot[t], position[t]) of keys, values [slots, capacity, G, D].
   */
  void cacheAppend(Tensor k, Tensor v, Tensor slot, Tensor position, Tensor keys, Tensor values);

  /** Row t of q, out [T, H, D] attends to positions 0..position[t] of its slot. */
  void attentionDecode(
      Tensor q,
      Tensor keys,
      Tensor values,
      Tensor slot,
      Tensor position,
      float scale,
      long window,
      Tensor out);
}
