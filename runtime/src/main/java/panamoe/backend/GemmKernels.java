package panamoe.backend;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Dense GEMM; operands FLOAT32 or BFLOAT16 in any mix, FLOAT32 sums in one fixed order over the
 * inner dimension.
 */
public interface GemmKernels {
  /**
   * What happens to the sums of a product before they are stored.
   *
   * @param bias FLOAT32, of one row of sums, or null
   * @param preactivation as the sums, or null; receives them with the bias, for the backward
   */
  record Epilogue(Activation activation, Tensor bias, Tensor preactivation) {
    public static final Epilogue NONE = of(Activation.IDENTITY);

    public static Epilogue of(Activation activation) {
      return new Epilogue(activation, null, null);
    }

    /** Whether sums are stored as they are. */
    public boolean isNone() {
      return activation.equals(Activation.IDENTITY) && bias == null && preactivation == null;
    }
  }

  /**
   * {@code c = activation(op(a) op(b) + bias)}, or {@code c += op(a) op(b)} when accumulating (then
   * without epilogue). a [M, K], transposed [K, M]; b [K, N], transposed [N, K], or packed; c [M,
   * N], for SwiGLU [M, N/2]; bias [N], preactivation [M, N].
   */
  void gemm(
      boolean transposeA,
      boolean transposeB,
      boolean accumulate,
      Tensor a,
      Tensor b,
      Tensor c,
      Epilogue epilogue);

  /** {@code y[n] += sum_s x[s, n]}; x [S, N], y FLOAT32 [N]. */
  void columnSum(Tensor x, Tensor y);

  /** Bytes of a packed operand for weights [N, K] or [E, N, K]. */
  long packedBytes(DType dtype, long... shape);

  /** Rearranges row-major weights into {@code packed}, rounding to its dtype. */
  void pack(Tensor weights, Tensor packed);
}
