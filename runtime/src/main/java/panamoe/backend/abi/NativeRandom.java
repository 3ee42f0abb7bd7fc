package panamoe.backend.abi;

import panamoe.backend.ElementwiseKernels;
import panamoe.tensor.Tensor;

/** Random numbers, by the native library. */
interface NativeRandom extends ElementwiseKernels, NativeLaunch {
  @Override
  default void randomUniform(long seed, long offset, Tensor y) {
    launch("moe_random_uniform", seed, offset, y);
  }

  @Override
  default void randomNormal(long seed, long offset, float mean, float deviation, Tensor y) {
    launch("moe_random_normal", seed, offset, mean, deviation, y);
  }

  @Override
  default void randomGumbel(long seed, long offset, Tensor y) {
    launch("moe_random_gumbel", seed, offset, y);
  }

  @Override
  default void jitter(long seed, long offset, float epsilon, Tensor x, Tensor y) {
    launch("moe_jitter", seed, offset, epsilon, x, y);
  }
}
