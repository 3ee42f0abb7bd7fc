package panamoe.backend.abi;

import panamoe.backend.NormKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Norms, by the native library. */
interface NativeNorm extends NormKernels, NativeLaunch {
  @Override
  default void layerNormForward(Norm norm, Tensor x, Tensor y) {
    launch(
        "moe_layer_norm_forward",
        (s, t, h) -> Moe.moe_layer_norm_forward(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        Structs.norm(norm),
        x,
        y);
  }

  @Override
  default void layerNormBackward(
      Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma, Tensor dbeta) {
    launch(
        "moe_layer_norm_backward",
        (s, t, h) ->
            Moe.moe_layer_norm_backward(
                s, t[0], t[1], t[2], t[3], t[4], t[5], h[0], h[1], h[2], h[3]),
        Structs.norm(norm),
        x,
        dy,
        dx,
        dgamma,
        dbeta);
  }

  @Override
  default void rmsNormForward(Norm norm, Tensor x, Tensor y) {
    launch(
        "moe_rms_norm_forward",
        (s, t, h) -> Moe.moe_rms_norm_forward(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        Structs.norm(norm),
        x,
        y);
  }

  @Override
  default void rmsNormBackward(Norm norm, Tensor x, Tensor dy, Tensor dx, Tensor dgamma) {
    launch(
        "moe_rms_norm_backward",
        (s, t, h) ->
            Moe.moe_rms_norm_backward(s, t[0], t[1], t[2], t[3], t[4], h[0], h[1], h[2], h[3]),
        Structs.norm(norm),
        x,
        dy,
        dx,
        dgamma);
  }
}
