package panamoe.backend;

import panamoe.tensor.Tensor;

/**
 * Element by element; all tensors of a call have the same count, FLOAT32 or BFLOAT16 each unless
 * said.
 */
public interface ElementwiseKernels {
  /** {@code y[i] = value}. */
  void fill(float value, Tensor y);

  /** {@code y[i] = x[i]}, rounded to nearest even where y is BFLOAT16. */
  void cast(Tensor x, Tensor y);

  /** {@code y = x} for tensors of one dtype and count; they may not overlap. */
  void copy(Tensor x, Tensor y);

  /** {@code y = alpha a + beta b}; y may alias a or b. */
  void add(float alpha, Tensor a, float beta, Tensor b, Tensor y);

  /** {@code y = min(max(x, -bound), bound)}, bound finite and 0 or more; y may alias x. */
  void clampForward(float bound, Tensor x, Tensor y);

  /** {@code dx = dy} where {@code |x| <= bound}, else 0; dx may alias x or dy. */
  void clampBackward(float bound, Tensor x, Tensor dy, Tensor dx);

  /** {@code y = cap tanh(x / cap)}, cap finite and above 0; y may alias x. */
  void softCap(float cap, Tensor x, Tensor y);

  /** {@code y = exp(min(x, bound))}, bound finite and at most 88; y may alias x. */
  void expForward(float bound, Tensor x, Tensor y);

  /** {@code dx = dy exp(x)} where {@code x <= bound}, else 0; dx may alias x or dy. */
  void expBackward(float bound, Tensor x, Tensor dy, Tensor dx);

  /** {@code y = activation(x)}: x [S, N], y [S, N], for a gated one x [S, 2N]. */
  void activationForward(Activation activation, Tensor x, Tensor y);

  /** {@code dx = dy * activation'(x)}; dx has the shape of x and may alias x. */
  void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx);

  /** Philox 4x32-10 of (seed, offset + i), uniform in [0, 1): the same numbers on every backend. */
  void randomUniform(long seed, long offset, Tensor y);

  /** Normal numbers by Box-Muller over that generator. */
  void randomNormal(long seed, long offset, float mean, float deviation, Tensor y);

  /** Standard Gumbel noise, {@code -log(-log(u))} of the uniform numbers u. */
  void randomGumbel(long seed, long offset, Tensor y);

  /**
   * {@code y = x (1 - epsilon + 2 epsilon u)} of the uniform numbers u, in float32; epsilon in [0,
   * 1). With dy for x it gives dx. y may alias x.
   */
  void jitter(long seed, long offset, float epsilon, Tensor x, Tensor y);
}
