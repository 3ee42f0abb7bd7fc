package panamoe.backend.abi;

import panamoe.backend.SampleKernels;
import panamoe.tensor.Tensor;

/** Sampling, by the native library. */
interface NativeSample extends SampleKernels, NativeLaunch {
  @Override
  default void sample(Sampling sampling, Tensor logits) {
    launch("moe_sample", Structs.sampling(sampling), logits);
  }
}
