package panamoe.backend.abi;

import panamoe.backend.CombineKernels;
import panamoe.backend.Routes;
import panamoe.tensor.Tensor;

/** Combine, by the native library. */
interface NativeCombine extends CombineKernels, NativeLaunch {
  @Override
  default void combineForward(Inputs inputs, Routes routes, Tensor y) {
    launch("moe_combine_forward", Structs.combineInputs(inputs), Structs.routes(routes), y);
  }

  @Override
  default void combineBackward(Tensor dy, Inputs inputs, Routes routes, Gradients gradients) {
    launch(
        "moe_combine_backward",
        dy,
        Structs.combineInputs(inputs),
        Structs.routes(routes),
        Structs.combineGradients(gradients));
  }
}
