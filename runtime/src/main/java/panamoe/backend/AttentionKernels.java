package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * Attention and rotary positions. Letters: B sequences, L tokens each, H query heads, G key/value
 * heads, D head size; one floating dtype a call.
 */
public interface AttentionKernels {
  /**
   * Rotates x [S, N, D] by its row's angle: cosine, sine FLOAT32 [P, R/2], R rotated dimensions.
   * positions INT32 [S].
   *
   * @param adjacent whether pairs are (2i, 2i + 1) instead of (i, i + R/2)
   * @param direction 1, or -1 for the inverse, which is the backward
   */
  void rotary(
      Tensor x,
      Tensor positions,
      Tensor cosine,
      Tensor sine,
      boolean adjacent,
      int direction,
      Tensor y);

  /**
   * Copies columns of heads: {@code y[a, b, to + c] = x[a, b, from + c]}, transposed {@code x[b, a,
   * from + c]}, for c below {@code count}; x and y have rank 3 and one floating dtype. Other
   * columns of y are left as they are.
   */
  void headCopy(boolean transpose, long from, long to, long count, Tensor x, Tensor y);

  /**
   * {@code out = sum_j p_j v_j} over the tokens j that the mask lets a query see, {@code p_j =
   * exp(s_j) / (sum_j exp(s_j) + exp(sink))}, {@code s_j = scale q . k_j}.
   *
   * @param out [B, L, H, D]
   * @param logsumexp FLOAT32 [B, H, L], the logarithm of that denominator, or null
   */
  void attentionForward(
      AttentionSettings settings, AttentionInputs inputs, Tensor out, Tensor logsumexp);

  /** From dout and the forward's settings, inputs, out and logsumexp. */
  void attentionBackward(
      AttentionSettings settings,
      AttentionInputs inputs,
      Tensor out,
      Tensor logsumexp,
      Tensor dout,
      AttentionGradients gradients);

  /**
   * Stores row t of k, v [T, G, D] at its place in the cache; among rows for one place the last
   * wins. Where one row is both key and value, the cache's values are its keys, and v is k.
   */
  void cacheAppend(Tensor k, Tensor v, CachePlaces places);

  /**
   * Row t of q, out [T, H, D] attends to positions 0..position[t] of its slot.
   *
   * @param settings with a causal mask
   * @param sinks as in {@link AttentionInputs}
   */
  void attentionDecode(
      AttentionSettings settings, Tensor q, Tensor sinks, CachePlaces places, Tensor out);

  /**
   * {@link #attentionDecode} with a bias, without sinks. {@code places} has the last position that
   * a row sees, which may differ from the row's own.
   */
  void attentionBiased(
      AttentionSettings settings, RelativeBias bias, Tensor q, CachePlaces places, Tensor out);
}
