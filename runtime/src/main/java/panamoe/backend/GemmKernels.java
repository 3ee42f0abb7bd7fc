package panamoe.backend;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Dense GEMM; operands FLOAT32 or BFLOAT16 in any mix, FLOAT32 sums in one fixed order over the
 * inner dimension.
 */
public interface GemmKernels {
  /**
   * {@code c = activation(op(a) op(b) + bias)}, or {@code c += op(a) op(b)} when accumulating (then
   * no bias and no activation). a [M, K], transposed [K, M]; b [K, N], transposed [N, K], or
   * packed; c [M, N], for SwiGLU [M, N/2].
   *
   * @param bias FLOAT32 [N] or null
   * @param preactivation [M, N] or null; receives the sum before the activation
   */
  void gemm(
      boolean transposeA,
      boolean transposeB,
      Activation activation,
      boolean accumulate,
      Tensor a,
      Tensor b,
      Tensor bias,
      Tensor c,
      Tensor preactivation);

  /** {@code y[n] += sum_s x[s, n]}; x [S, N], y FLOAT32 [N]. */
  void columnSum(Tensor x, Tensor y);

  /** Bytes of a packed operand for weights [N, K] or [E, N, K]. */
  long packedBytes(DType dtype, long... shape);

  /** Rearranges row-major weights into {@code packed}, rounding to its dtype. */
  void pack(Tensor weights, Tensor packed);
}
