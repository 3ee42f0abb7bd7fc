package panamoe.backend.abi;

import panamoe.backend.Activation;
import panamoe.backend.ElementwiseKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Elementwise kernels, by the native library. */
interface NativeElementwise extends ElementwiseKernels, NativeLaunch {
  @Override
  default void fill(float value, Tensor y) {
    launch("moe_fill", (s, to, h0, h1, h2, h3) -> Moe.moe_fill(s, value, to, h0, h1, h2, h3), y);
  }

  @Override
  default void cast(Tensor x, Tensor y) {
    launch("moe_cast", Moe::moe_cast, x, y);
  }

  @Override
  default void copy(Tensor x, Tensor y) {
    launch("moe_memory_copy", Moe::moe_memory_copy, x, y);
  }

  @Override
  default void add(float alpha, Tensor a, float beta, Tensor b, Tensor y) {
    launch(
        "moe_add",
        (s, first, second, sum, h0, h1, h2, h3) ->
            Moe.moe_add(s, alpha, first, beta, second, sum, h0, h1, h2, h3),
        a,
        b,
        y);
  }

  @Override
  default void clampForward(float bound, Tensor x, Tensor y) {
    launch(
        "moe_clamp_forward",
        (s, from, to, h0, h1, h2, h3) -> Moe.moe_clamp_forward(s, bound, from, to, h0, h1, h2, h3),
        x,
        y);
  }

  @Override
  default void clampBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_clamp_backward",
        (s, from, upstream, to, h0, h1, h2, h3) ->
            Moe.moe_clamp_backward(s, bound, from, upstream, to, h0, h1, h2, h3),
        x,
        dy,
        dx);
  }

  @Override
  default void expForward(float bound, Tensor x, Tensor y) {
    launch(
        "moe_exp_forward",
        (s, from, to, h0, h1, h2, h3) -> Moe.moe_exp_forward(s, bound, from, to, h0, h1, h2, h3),
        x,
        y);
  }

  @Override
  default void expBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_exp_backward",
        (s, from, upstream, to, h0, h1, h2, h3) ->
            Moe.moe_exp_backward(s, bound, from, upstream, to, h0, h1, h2, h3),
        x,
        dy,
        dx);
  }

  @Override
  default void activationForward(Activation activation, Tensor x, Tensor y) {
    launch(
        "moe_activation_forward",
        Moe::moe_activation_forward,
        ActivationConfigs.of(activation),
        x,
        y);
  }

  @Override
  default void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_activation_backward",
        Moe::moe_activation_backward,
        ActivationConfigs.of(activation),
        x,
        dy,
        dx);
  }
}
