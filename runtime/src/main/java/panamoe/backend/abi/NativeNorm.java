package panamoe.backend.abi;

import panamoe.backend.NormKernels;
import panamoe.tensor.Tensor;

/** Norms, by the native library. */
interface NativeNorm extends NormKernels, NativeLaunch {
  @Override
  default void layerNormForward(Norm norm, Tensor x, Tensor y) {
    launch("moe_layer_norm_forward", Structs.norm(norm), x, y);
  }

  @Override
  default void layerNormBackward(
      Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma, Tensor dbeta) {
    launch("moe_layer_norm_backward", Structs.norm(norm), x, dy, dx, dgamma, dbeta);
  }

  @Override
  default void rmsNormForward(Norm norm, Tensor x, Tensor y) {
    launch("moe_rms_norm_forward", Structs.norm(norm), x, y);
  }

  @Override
  default void rmsNormBackward(Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
    launch("moe_rms_norm_backward", Structs.norm(norm), x, dy, dx, dgamma);
  }
}
