package panamoe.harness.conformance.megablocks;

import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Replay;
import panamoe.tensor.Tensor;

/**
 * A weight of MegaBlocks in our layout [E, N, K], which the peer stores as it is or with the last
 * two swapped.
 */
record MegaBlocksWeight(
    Replay replay,
    String name,
    int experts,
    int outputs,
    int inputs,
    boolean swapped,
    Tensor value) {

  /**
   * @param swapped whether the peer stores [E, K, N]
   */
  static MegaBlocksWeight read(
      Replay replay, String name, int experts, int outputs, int inputs, boolean swapped) {
    float[] recorded = replay.golden().floats("w." + name);
    float[] ours = swapped ? Layouts.transposed(recorded, experts, inputs, outputs) : recorded;
    return new MegaBlocksWeight(
        replay,
        name,
        experts,
        outputs,
        inputs,
        swapped,
        replay.parameter(ours, experts, outputs, inputs));
  }

  void compareGradient() {
    float[] ours = replay.gradientOf(value);
    replay.close(
        "grad." + name, swapped ? Layouts.transposed(ours, experts, outputs, inputs) : ours);
  }
}
