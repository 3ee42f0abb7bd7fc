package panamoe.backend;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Dense GEMM; operands FLOAT32 or BFLOAT16 in any mix, FLOAT32 sums in a fixed order over K.
 *
 * <p>Packed weights may be in blocks ({@link DType#isBlocks}). A CPU then rounds the other
 * operand's rows to int8 (docs/quantization.md), unless the weights are {@link Tensor#exact} or not
 * transposed; a GPU does not. Packed weights that are not transposed take no epilogue.
 */
public interface GemmKernels {
  /**
   * The epilogue of a product.
   *
   * @param bias FLOAT32 [N], or null
   * @param preactivation in the shape of the product, or null; receives product + bias + addend,
   *     for the backward
   * @param addend in the shape of the product, or null; FLOAT32 or BFLOAT16
   */
  record Epilogue(Activation activation, Tensor bias, Tensor preactivation, Tensor addend) {
    public static final Epilogue NONE = of(Activation.IDENTITY);

    public Epilogue(Activation activation, Tensor bias, Tensor preactivation) {
      this(activation, bias, preactivation, null);
    }

    public static Epilogue of(Activation activation) {
      return new Epilogue(activation, null, null);
    }

    /** Whether the product is stored unchanged. */
    public boolean isNone() {
      return activation.equals(Activation.IDENTITY)
          && bias == null
          && preactivation == null
          && addend == null;
    }
  }

  /**
   * {@code c = activation(op(a) op(b) + bias + addend)}, or {@code c += op(a) op(b)} when
   * accumulating (then without epilogue). a [M, K], transposed [K, M]; b [K, N], transposed [N, K];
   * c [M, N], for SwiGLU [M, N/2]; bias [N], addend and preactivation [M, N].
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

  /**
   * Bytes of a packed operand for weights [N, K] or [E, N, K]. Matrices of a packed stack are
   * contiguous, and so are blocks of {@link #PACKED_ROWS} rows of a packed matrix.
   */
  long packedBytes(DType dtype, long... shape);

  /** Rows of a matrix that every backend packs independently of other rows. */
  int PACKED_ROWS = 64;

  /** Matrix {@code index} [N, K] of a packed stack [E, N, K]; a view. */
  default Tensor packedMatrix(Tensor packed, int index) {
    if (!packed.matrices().isEmpty()) {
      return packed.matrices().get(index);
    }
    long rows = packed.size(1);
    long inner = packed.size(2);
    long bytes = packedBytes(packed.dtype(), rows, inner);
    return packed.packedPart(index * bytes, (index + 1) * bytes, rows, inner);
  }

  /** Matrices {@code from} (inclusive) to {@code to} (exclusive) of a packed stack; a view. */
  default Tensor packedMatrices(Tensor packed, long from, long to) {
    long rows = packed.size(1);
    long inner = packed.size(2);
    long bytes = packedBytes(packed.dtype(), rows, inner);
    return packed.packedPart(from * bytes, to * bytes, to - from, rows, inner);
  }

  /**
   * Rows {@code from} (inclusive) to {@code to} (exclusive) of a packed matrix [N, K]; a view.
   *
   * @throws IllegalArgumentException unless {@code from} is a multiple of {@link #PACKED_ROWS} and
   *     {@code to} is one or N
   */
  default Tensor packedRows(Tensor packed, long from, long to) {
    long inner = packed.size(1);
    long rows = packed.size(0);
    boolean blocks = from % PACKED_ROWS == 0 && (to % PACKED_ROWS == 0 || to == rows);
    if (!blocks || to > rows) {
      throw new IllegalArgumentException("packed rows " + from + " to " + to + " of " + packed);
    }
    return packed.packedPart(
        packedBytes(packed.dtype(), from, inner),
        packedBytes(packed.dtype(), to, inner),
        to - from,
        inner);
  }

  /**
   * Rearranges row-major weights into {@code packed}, rounding to its dtype; block formats keep
   * their dtype and values.
   */
  void pack(Tensor weights, Tensor packed);
}
