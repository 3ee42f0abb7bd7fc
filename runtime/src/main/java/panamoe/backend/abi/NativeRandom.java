package panamoe.backend.abi;

import panamoe.backend.ElementwiseKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Random numbers, by the native library. */
interface NativeRandom extends ElementwiseKernels, NativeLaunch {
  @Override
  default void randomUniform(long seed, long offset, Tensor y) {
    launch(
        "moe_random_uniform",
        (s, t, h) -> Moe.moe_random_uniform(s, seed, offset, t[0], h[0], h[1], h[2], h[3]),
        y);
  }

  @Override
  default void randomNormal(long seed, long offset, float mean, float deviation, Tensor y) {
    launch(
        "moe_random_normal",
        (s, t, h) ->
            Moe.moe_random_normal(s, seed, offset, mean, deviation, t[0], h[0], h[1], h[2], h[3]),
        y);
  }

  @Override
  default void randomGumbel(long seed, long offset, Tensor y) {
    launch(
        "moe_random_gumbel",
        (s, t, h) -> Moe.moe_random_gumbel(s, seed, offset, t[0], h[0], h[1], h[2], h[3]),
        y);
  }

  @Override
  default void jitter(long seed, long offset, float epsilon, Tensor x, Tensor y) {
    launch(
        "moe_jitter",
        (s, t, h) -> Moe.moe_jitter(s, seed, offset, epsilon, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }
}
