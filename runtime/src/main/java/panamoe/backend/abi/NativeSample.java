package panamoe.backend.abi;

import panamoe.backend.SampleKernels;
import panamoe.bindings.Moe;
import panamoe.tensor.Tensor;

/** Sampling, by the native library. */
interface NativeSample extends SampleKernels, NativeLaunch {
  @Override
  default void sample(Sampling sampling, Tensor logits) {
    launch(
        "moe_sample",
        (s, t, h) -> Moe.moe_sample(s, t[0], t[1], h[0], h[1], h[2], h[3]),
        Structs.sampling(sampling),
        logits);
  }
}
