package panamoe.backend.abi;

import panamoe.backend.OptimizerKernels;
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
        Structs.adamw(config),
        parameter,
        gradient,
        firstMoment,
        secondMoment,
        copy);
  }

  @Override
  default void squareSum(Tensor x, Tensor sum) {
    launch("moe_square_sum", x, sum);
  }
}
