package panamoe.backend.abi;

import panamoe.backend.Activation;
import panamoe.backend.ElementwiseKernels;
import panamoe.tensor.Tensor;

/** Elementwise kernels, by the native library. */
interface NativeElementwise extends ElementwiseKernels, NativeLaunch {
  @Override
  default void fill(float value, Tensor y) {
    launch("moe_fill", value, y);
  }

  @Override
  default void cast(Tensor x, Tensor y) {
    launch("moe_cast", x, y);
  }

  @Override
  default void copy(Tensor x, Tensor y) {
    launch("moe_memory_copy", x, y);
  }

  @Override
  default void add(float alpha, Tensor a, float beta, Tensor b, Tensor y) {
    launch("moe_add", alpha, a, beta, b, y);
  }

  @Override
  default void clampForward(float bound, Tensor x, Tensor y) {
    launch("moe_clamp_forward", bound, x, y);
  }

  @Override
  default void clampBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch("moe_clamp_backward", bound, x, dy, dx);
  }

  @Override
  default void expForward(float bound, Tensor x, Tensor y) {
    launch("moe_exp_forward", bound, x, y);
  }

  @Override
  default void expBackward(float bound, Tensor x, Tensor dy, Tensor dx) {
    launch("moe_exp_backward", bound, x, dy, dx);
  }

  @Override
  default void activationForward(Activation activation, Tensor x, Tensor y) {
    launch("moe_activation_forward", ActivationConfigs.of(activation), x, y);
  }

  @Override
  default void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    launch("moe_activation_backward", ActivationConfigs.of(activation), x, dy, dx);
  }
}
