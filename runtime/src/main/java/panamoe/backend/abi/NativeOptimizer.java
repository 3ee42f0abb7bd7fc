package panamoe.backend.abi;

import panamoe.backend.OptimizerKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** The optimizer, by the native library. */
interface NativeOptimizer extends OptimizerKernels, NativeLaunch {
  @Override
  default void adamwStep(
      AdamW config,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      Tensor copy) {
    launch(
        "moe_adamw_step",
        (s, t, h) ->
            Moe.moe_adamw_step(s, t[0], t[1], t[2], t[3], t[4], t[5], h[0], h[1], h[2], h[3]),
        Structs.adamw(config),
        parameter,
        gradient,
        firstMoment,
        secondMoment,
        copy);
  }

  @Override
  default void squareSum(Tensor x, Tensor sum) {
    launch(
        "moe_square_sum",
        (s, t, h) -> Moe.moe_square_sum(s, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        sum);
  }
}
