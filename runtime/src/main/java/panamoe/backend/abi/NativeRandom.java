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
        (s, to, h0, h1, h2, h3) -> Moe.moe_random_uniform(s, seed, offset, to, h0, h1, h2, h3),
        y);
  }

  @Override
  default void randomNormal(long seed, long offset, float mean, float deviation, Tensor y) {
    launch(
        "moe_random_normal",
        (s, to, h0, h1, h2, h3) ->
            Moe.moe_random_normal(s, seed, offset, mean, deviation, to, h0, h1, h2, h3),
        y);
  }

  @Override
  default void randomGumbel(long seed, long offset, Tensor y) {
    launch(
        "moe_random_gumbel",
        (s, to, h0, h1, h2, h3) -> Moe.moe_random_gumbel(s, seed, offset, to, h0, h1, h2, h3),
        y);
  }

  @Override
  default void jitter(long seed, long offset, float epsilon, Tensor x, Tensor y) {
    launch(
        "moe_jitter",
        (s, from, to, h0, h1, h2, h3) ->
            Moe.moe_jitter(s, seed, offset, epsilon, from, to, h0, h1, h2, h3),
        x,
        y);
  }
}
