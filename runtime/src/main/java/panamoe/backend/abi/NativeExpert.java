package panamoe.backend.abi;

import panamoe.backend.ExpertKernels;
import panamoe.backend.GemmKernels;
import panamoe.tensor.Tensor;

/** The experts' grouped products, by the native library. */
interface NativeExpert extends ExpertKernels, NativeLaunch {
  @Override
  default void expertForward(
      Tensor x, Tensor offsets, Tensor weights, Tensor y, GemmKernels.Epilogue epilogue) {
    launch("moe_expert_forward", x, offsets, weights, y, Structs.epilogue(epilogue));
  }

  @Override
  default void expertBackwardInput(Tensor dy, Tensor offsets, Tensor weights, Tensor dx) {
    launch("moe_expert_backward_input", dy, offsets, weights, dx);
  }

  @Override
  default void expertBackwardWeights(
      boolean accumulate, Tensor dy, Tensor x, Tensor offsets, Tensor dweights, Tensor dbias) {
    int adding = accumulate ? 1 : 0;
    launch("moe_expert_backward_weights", adding, dy, x, offsets, dweights, dbias);
  }
}
