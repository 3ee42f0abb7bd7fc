package panamoe.harness.conformance.megablocks;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Activation;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.Product;
import panamoe.harness.conformance.replay.Replay;
import panamoe.op.ExpertOp;
import panamoe.tensor.Tensor;

/**
 * MegaBlocks' experts: {@code down(activation(up x))}, or gated {@code down(activation(gate x) * up
 * x)}.
 */
final class MegaBlocksExperts {
  private final Replay replay;
  private final Activation activation;

  /** Null without gating. */
  private final MegaBlocksWeight gate;

  private final MegaBlocksWeight up;
  private final MegaBlocksWeight down;
  private final List<String> biases = new ArrayList<>();
  private final List<Tensor> biasValues = new ArrayList<>();

  private MegaBlocksExperts(
      Replay replay,
      Activation activation,
      MegaBlocksWeight gate,
      MegaBlocksWeight up,
      MegaBlocksWeight down) {
    this.replay = replay;
    this.activation = activation;
    this.gate = gate;
    this.up = up;
    this.down = down;
  }

  /**
   * The routed ones. The dropless layer stores [E * F, H] throughout, the other [E, H, F] and [E,
   * F, H].
   */
  static MegaBlocksExperts routed(Replay replay, Activation activation) {
    GoldenFile golden = replay.golden();
    int experts = golden.hyper("E").asInt();
    int hidden = golden.hyper("H").asInt();
    int inner = golden.hyper("FF").asInt();
    boolean swapped = golden.hyper("kind").asText().equals("moe");
    MegaBlocksWeight first =
        MegaBlocksWeight.read(replay, "experts.mlp.w1", experts, inner, hidden, swapped);
    MegaBlocksWeight second =
        golden.has("w.experts.mlp.v1")
            ? MegaBlocksWeight.read(replay, "experts.mlp.v1", experts, inner, hidden, swapped)
            : null;
    MegaBlocksWeight down =
        MegaBlocksWeight.read(replay, "experts.mlp.w2", experts, hidden, inner, true);
    return second == null
        ? new MegaBlocksExperts(replay, activation, null, first, down)
        : new MegaBlocksExperts(replay, activation, first, second, down);
  }

  /** The one that all tokens visit. */
  static MegaBlocksExperts shared(Replay replay, Activation activation) {
    int inner = replay.golden().size("w.shared_expert.up_proj.weight", 0);
    int hidden = replay.golden().size("w.shared_expert.up_proj.weight", 1);
    MegaBlocksWeight gate =
        replay.golden().has("w.shared_expert.gate_proj.weight")
            ? MegaBlocksWeight.read(
                replay, "shared_expert.gate_proj.weight", 1, inner, hidden, false)
            : null;
    return new MegaBlocksExperts(
        replay,
        activation,
        gate,
        MegaBlocksWeight.read(replay, "shared_expert.up_proj.weight", 1, inner, hidden, false),
        MegaBlocksWeight.read(replay, "shared_expert.down_proj.weight", 1, hidden, inner, false));
  }

  Tensor forward(Tensor rows, Tensor offsets) {
    Tensor inner;
    if (gate == null) {
      inner = apply(up, rows, offsets, activation);
    } else {
      Tensor activated = apply(gate, rows, offsets, activation);
      inner = Product.of(replay, activated, apply(up, rows, offsets, Activation.IDENTITY));
    }
    return apply(down, inner, offsets, Activation.IDENTITY);
  }

  void compareGradients() {
    if (gate != null) {
      gate.compareGradient();
    }
    up.compareGradient();
    down.compareGradient();
    for (int i = 0; i < biases.size(); i++) {
      replay.close("grad." + biases.get(i), replay.gradientOf(biasValues.get(i)));
    }
  }

  private Tensor apply(MegaBlocksWeight weight, Tensor rows, Tensor offsets, Activation applied) {
    String name = weight.name().replace(".weight", ".bias");
    Tensor bias = null;
    if (weight.name().endsWith(".weight") && replay.golden().has("w." + name)) {
      bias =
          replay.parameter(replay.golden().floats("w." + name), weight.experts(), weight.outputs());
      biases.add(name);
      biasValues.add(bias);
    }
    return ExpertOp.forward(replay.pass(), rows, offsets, weight.value(), bias, applied);
  }
}
