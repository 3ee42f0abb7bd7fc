package panamoe.backend.abi;

import panamoe.backend.CombineKernels;
import panamoe.backend.Routes;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Combine, by the native library. */
interface NativeCombine extends CombineKernels, NativeLaunch {
  @Override
  default void combineForward(Inputs inputs, Routes routes, Tensor y) {
    launch(
        "moe_combine_forward",
        (s, t, h) -> Moe.moe_combine_forward(s, t[0], t[1], t[2], h[0], h[1], h[2], h[3]),
        Structs.combineInputs(inputs),
        Structs.routes(routes),
        y);
  }

  @Override
  default void combineBackward(Tensor dy, Inputs inputs, Routes routes, Gradients gradients) {
    launch(
        "moe_combine_backward",
        (s, t, h) -> Moe.moe_combine_backward(s, t[0], t[1], t[2], t[3], h[0], h[1], h[2], h[3]),
        dy,
        Structs.combineInputs(inputs),
        Structs.routes(routes),
        Structs.combineGradients(gradients));
  }
}
