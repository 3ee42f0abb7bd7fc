package panamoe.backend.abi;

import panamoe.backend.Activation;
import panamoe.backend.ElementwiseKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Elementwise kernels, by the native library. */
interface NativeElementwise extends ElementwiseKernels, NativeLaunch {
  @Override
  default void fill(float value, Tensor y) {
    launch("moe_fill", (s, t, h) -> Moe.moe_fill(s, value, t[0], h[0], h[1], h[2], h[3]), y);
  }

  @Override
  default void cast(Tensor x, Tensor y) {
    launch("moe_cast", (s, t, h) -> Moe.moe_cast(s, t[0], t[1], h[0], h[1], h[2], h[3]), x, y);
  }

  @Override
  default void copy(Tensor x, Tensor y) {
    launch(
        "moe_memory_copy",
        (s, t, h) -> Moe.moe_memory_copy(s, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void add(float alpha, Tensor a, float beta, Tensor b, Tensor y) {
    launch(
        "moe_add",
        (s, t, h) -> Moe.moe_add(s, alpha, t[0], beta, t[1], t[2], h[0], h[1], h[2], h[3]),
        a,
        b,
        y);
  }

  @Override
  default void clampForward(float bound, Tensor x, Tensor y) {
    launch(
        "moe_clamp_forward",
        (s, t, h) -> Moe.moe_clamp_forward(s, bound, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void clampBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_clamp_backward",
        (s, t, h) -> Moe.moe_clamp_backward(s, bound, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        x,
        dy,
        dx);
  }

  @Override
  default void expForward(float bound, Tensor x, Tensor y) {
    launch(
        "moe_exp_forward",
        (s, t, h) -> Moe.moe_exp_forward(s, bound, t[0], t[1], h[0], h[1], h[2], h[3]),
        x,
        y);
  }

  @Override
  default void expBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_exp_backward",
        (s, t, h) -> Moe.moe_exp_backward(s, bound, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        x,
        dy,
        dx);
  }

  @Override
  default void activationForward(Activation activation, Tensor x, Tensor y) {
    launch(
        "moe_activation_forward",
        (s, t, h) -> Moe.moe_activation_forward(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        ActivationConfigs.of(activation),
        x,
        y);
  }

  @Override
  default void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    launch(
        "moe_activation_backward",
        (s, t, h) -> Moe.moe_activation_backward(s, t[0], t[1], t[2], t[3], h[0], h[1], h[2], h[3]),
        ActivationConfigs.of(activation),
        x,
        dy,
        dx);
  }
}
