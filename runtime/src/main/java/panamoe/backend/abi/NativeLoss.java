package panamoe.backend.abi;

import panamoe.backend.LossKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Losses, by the native library. */
interface NativeLoss extends LossKernels, NativeLaunch {
  @Override
  default void crossEntropy(Tokens tokens, Tensor logits, Tensor dlogits) {
    launch(
        "moe_cross_entropy",
        (s, t, h) -> Moe.moe_cross_entropy(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        Structs.tokenLosses(tokens),
        logits,
        dlogits);
  }

  @Override
  default void linearCrossEntropy(
      Tokens tokens, Tensor hidden, Tensor weights, Tensor dhidden, Tensor dweights) {
    launch(
        "moe_linear_cross_entropy",
        (s, t, h) ->
            Moe.moe_linear_cross_entropy(s, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
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
        (s, t, h) ->
            Moe.moe_linear_distillation(
                s, t[0], t[1], t[2], t[3], t[4], t[5], h[0], h[1], h[2], h[3]),
        Structs.tokenLosses(tokens),
        Structs.teacher(teacher),
        hidden,
        weights,
        dhidden,
        dweights);
  }
}
