package panamoe.harness.conformance.transformers;

import panamoe.backend.Activation;
import panamoe.harness.conformance.replay.Layouts;
import panamoe.harness.conformance.replay.Replay;
import panamoe.op.ExpertOp;
import panamoe.tensor.Tensor;

/**
 * SwiGLU experts, {@code down(silu(gate x) * up x)}, from a peer's matrices of each expert: gate
 * and up [F, M] stacked to [E, 2F, M], down [M, F] to [E, M, F]. Without biases.
 */
final class SwigluExperts {
  private final Replay replay;
  private final int experts;
  private final String gateName;
  private final String upName;
  private final String downName;
  private final int hidden;
  private final int inner;
  private final Tensor up;
  private final Tensor down;

  /** Names are without "w."; those of several experts hold a {@code %d}. */
  SwigluExperts(Replay replay, int experts, String gateName, String upName, String downName) {
    this.replay = replay;
    this.experts = experts;
    this.gateName = gateName;
    this.upName = upName;
    this.downName = downName;
    long[] shape = replay.golden().shape("w." + gateName.replace("%d", "0"));
    this.inner = (int) shape[0];
    this.hidden = (int) shape[1];
    this.up =
        replay.parameter(
            Layouts.inTurn(
                replay.golden().stacked("w." + gateName, experts),
                replay.golden().stacked("w." + upName, experts),
                inner * hidden),
            experts,
            2L * inner,
            hidden);
    this.down =
        replay.parameter(replay.golden().stacked("w." + downName, experts), experts, hidden, inner);
  }

  Tensor forward(Tensor rows, Tensor offsets) {
    Tensor activated = ExpertOp.forward(replay.pass(), rows, offsets, up, null, Activation.SWIGLU);
    return ExpertOp.forward(replay.pass(), activated, offsets, down, null, Activation.IDENTITY);
  }

  void compareGradients() {
    float[] both = replay.gradientOf(up);
    int block = inner * hidden;
    compare(gateName, Layouts.blocks(both, block, i -> i % 2 == 0));
    compare(upName, Layouts.blocks(both, block, i -> i % 2 == 1));
    compare(downName, replay.gradientOf(down));
  }

  private void compare(String name, float[] actual) {
    replay
        .comparison()
        .close(
            "grad." + name.replace("%d", "*"),
            replay.golden().stacked("grad." + name, experts),
            actual);
  }
}
