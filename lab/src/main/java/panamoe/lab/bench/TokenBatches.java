package panamoe.lab.bench;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Batches of normally distributed activations. Calls rotate over them, so that consecutive calls
 * reach different experts.
 */
final class TokenBatches {
  private static final int FEW_TOKENS = 64;

  private TokenBatches() {}

  /** The number of batches: small ones are more, because each reaches few experts. */
  static int count(int tokens) {
    return tokens <= FEW_TOKENS ? 16 : 2;
  }

  /** {@link #count} tensors [tokens, width]. */
  static List<Tensor> normal(
      Backend backend, TensorScope scope, DType dtype, int tokens, long width, long seed) {
    return LongStream.range(0, count(tokens))
        .mapToObj(i -> drawn(backend, scope, dtype, seed, i * tokens * width, tokens, width))
        .toList();
  }

  /**
   * Normally distributed numbers.
   *
   * @param from index of the first number in the seed's sequence
   */
  static Tensor drawn(
      Backend backend, TensorScope scope, DType dtype, long seed, long from, long... shape) {
    Tensor numbers = scope.allocate(DType.FLOAT32, shape);
    backend.randomNormal(seed, from, 0, 1, numbers);
    Tensor values = scope.allocate(dtype, shape);
    backend.cast(numbers, values);
    backend.synchronize();
    numbers.release();
    return values;
  }

  /**
   * The number of experts with at least one row.
   *
   * @param offsets INT32 [E + 1]
   */
  static int hit(Tensor offsets) {
    int[] starts = offsets.toInts();
    return (int) IntStream.range(1, starts.length).filter(e -> starts[e] > starts[e - 1]).count();
  }
}
