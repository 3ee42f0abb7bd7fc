package panamoe.harness.conformance.tutel;

import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.harness.conformance.replay.Axes;
import panamoe.harness.conformance.replay.BlockReplay;
import panamoe.harness.conformance.replay.GoldenFile;
import panamoe.harness.conformance.replay.NotDescribed;
import panamoe.harness.conformance.replay.Peers;
import panamoe.harness.conformance.replay.Replay;
import panamoe.harness.conformance.replay.TokenOrder;
import panamoe.harness.conformance.replay.WeightMap;
import panamoe.moe.MoeLayer;
import panamoe.tensor.Tensor;

/** Tutel's {@code moe_layer}: a {@link MoeLayer} whose experts have biases. */
public final class TutelLayerCases {
  private final Replay replay;
  private final GoldenFile golden;
  private final Tensor x;
  private final MoeConfig config;

  private TutelLayerCases(Replay replay) {
    this.replay = replay;
    this.golden = replay.golden();
    requireDescribed(golden);
    this.x = replay.rows("x");
    this.config =
        MoeConfig.of(
            golden.hyper("E").asInt(),
            golden.hyper("F").asInt(),
            Peers.activation(golden.hyper("act").asText()),
            true,
            gate());
  }

  public static void layer(Replay replay) {
    new TutelLayerCases(replay).compare();
  }

  private static void requireDescribed(GoldenFile golden) {
    if (golden.hyper("gate").asText().equals("cosine_top")) {
      throw new NotDescribed(
          "that logits are cosines of projected tokens over a temperature", "gate.router");
    }
    if (!golden.hyper("post").asBoolean()) {
      throw new NotDescribed(
          "that weights multiply an expert's input and not its output", "gate.weight.place");
    }
  }

  /**
   * The capacity is k * int(|cf| * ceil(S/E)); cf = 0 drops nothing. Below 0 the peer does not
   * exceed the fullest queue, which drops nothing more.
   */
  private GateConfig gate() {
    GateConfig gate = RoutingCases.gate(golden, golden.hyper("aux_coef").asDouble());
    double factor = golden.hyper("cf").asDouble();
    if (factor == 0) {
      return gate;
    }
    long even = Math.ceilDiv(x.size(0), golden.hyper("E").asLong());
    return gate.withCapacity(RoutingCases.capacity(gate.topK() * (long) (Math.abs(factor) * even)));
  }

  private void compare() {
    Axes expertsDown =
        Axes.of(config.experts(), config.inner(), golden.hyper("H").asInt()).as(0, 2, 1);
    WeightMap weights =
        new WeightMap()
            .put("gate.weight", "gates.0.wg.weight")
            .put("experts.up.weight", "experts.batched_fc1_w")
            .put("experts.up.bias", "experts.batched_fc1_bias")
            .put("experts.down.weight", expertsDown, "experts.batched_fc2_w")
            .put("experts.down.bias", "experts.batched_fc2_bias");
    try (BlockReplay<MoeLayer> block = BlockReplay.of(replay, config, weights)) {
      TokenOrder order =
          golden.hyper("bpr").asBoolean()
              ? TokenOrder.byBest(block.decide(config.gate(), x))
              : TokenOrder.given((int) x.size(0));
      Tensor ordered = replay.tensor(order.permuted(x.toFloats()), x.shape());
      Tensor out = block.layer().forward(block.pass(), ordered, null, null);
      float auxiliary = block.routes().auxiliaryLoss();
      float[] given = order.restored(out.toFloats());
      replay.close("out", given);
      replay.close("l_aux", auxiliary);
      replay.close(
          "loss", replay.objective(given) + golden.hyper("aux_coef").asDouble() * auxiliary);
      if (golden.has("dispatch_count")) {
        replay.exact("dispatch_count", block.routes().counts());
      }
      replay.backward(out, order.permuted(golden.floats("upstream")));
      replay.close("grad_x", order.restored(replay.gradientOfInput(ordered)));
      block.compareGradients();
    }
  }
}
