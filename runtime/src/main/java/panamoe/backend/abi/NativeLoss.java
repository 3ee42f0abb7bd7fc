package panamoe.backend.abi;

import panamoe.backend.LossKernels;
import panamoe.tensor.Tensor;

/** Losses, by the native library. */
interface NativeLoss extends LossKernels, NativeLaunch {
  @Override
  default void crossEntropy(Tokens tokens, Tensor logits, Tensor dlogits) {
    launch("moe_cross_entropy", Structs.tokenLosses(tokens), logits, dlogits);
  }

  @Override
  default void linearCrossEntropy(
      Tokens tokens, Tensor hidden, Tensor weights, Tensor dhidden, Tensor dweights) {
    launch(
        "moe_linear_cross_entropy",
        Structs.tokenLosses(tokens),
        hidden,
        weights,
        dhidden,
        dweights);
  }

  @Override
  default void linearDistillation(
      Tokens tokens,
      Teacher teacher,
      Tensor hidden,
      Tensor weights,
      Tensor dhidden,
      Tensor dweights) {
    launch(
        "moe_linear_distillation",
        Structs.tokenLosses(tokens),
        Structs.teacher(teacher),
        hidden,
        weights,
        dhidden,
        dweights);
  }
}
