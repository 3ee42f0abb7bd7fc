package panamoe.lab.conformance.tutel;

import panamoe.backend.GateSettings.DropPolicy;
import panamoe.config.GateConfig;
import panamoe.config.MoeConfig;
import panamoe.lab.conformance.replay.Axes;
import panamoe.lab.conformance.replay.BlockReplay;
import panamoe.lab.conformance.replay.GoldenFile;
import panamoe.lab.conformance.replay.Layouts;
import panamoe.lab.conformance.replay.Replay;
import panamoe.lab.conformance.replay.UnsupportedRule;
import panamoe.lab.conformance.replay.WeightMap;
import panamoe.moe.MoeLayer;
import panamoe.tensor.Tensor;

/** Tutel's {@code moe_layer}: a {@link MoeLayer} whose experts have biases. */
public final class TutelLayerCases {
  private static final String SIMILARITIES = "w.gates.0.sim_matrix";

  private final Replay replay;
  private final GoldenFile golden;
  private final boolean cosine;
  private final Tensor x;
  private final MoeConfig config;

  private TutelLayerCases(Replay replay) {
    this.replay = replay;
    this.golden = replay.golden();
    this.cosine =
        switch (golden.hyper("gate").asString()) {
          case "top" -> false;
          case "cosine_top" -> true;
          default ->
              throw new UnsupportedRule("a router called " + golden.hyper("gate"), "gate.router");
        };
    this.x = replay.rows("x");
    this.config =
        MoeConfig.of(
            golden.hyper("E").asInt(),
            golden.hyper("F").asInt(),
            Layouts.activation(golden.hyper("act").asString()),
            true,
            gate());
  }

  public static void layer(Replay replay) {
    new TutelLayerCases(replay).compare();
  }

  /**
   * The capacity is k * int(|cf| * ceil(S/E)); cf = 0 drops nothing. With cf < 0 the peer limits it
   * to the fullest queue, which drops no more routes.
   */
  private GateConfig gate() {
    GateConfig gate = RoutingCases.gate(golden, golden.hyper("aux_coef").asDouble());
    if (cosine) {
      gate = gate.withCosine(new GateConfig.Cosine(golden.size(SIMILARITIES, 0)));
    }
    if (!golden.hyper("post").asBoolean()) {
      gate = gate.withWeight(gate.weight().at(GateConfig.RouteWeight.Place.INPUT));
    }
    double factor = golden.hyper("cf").asDouble();
    if (factor == 0) {
      return gate;
    }
    long even = Math.ceilDiv(x.size(0), golden.hyper("E").asLong());
    GateConfig.Capacity capacity =
        RoutingCases.capacity(gate.topK() * (long) (Math.abs(factor) * even));
    return gate.withCapacity(
        golden.hyper("bpr").asBoolean() ? capacity.by(DropPolicy.BEST_SCORE) : capacity);
  }

  private WeightMap router(WeightMap weights) {
    if (!cosine) {
      return weights.put("gate.weight", "gates.0.wg.weight");
    }
    Axes vectors = Axes.of(config.gate().cosine().width(), config.experts()).as(1, 0);
    return weights
        .put("gate.projection.weight", "gates.0.cosine_projector.weight")
        .put("gate.projection.bias", "gates.0.cosine_projector.bias")
        .put("gate.vectors.weight", vectors, "gates.0.sim_matrix")
        .put("gate.temperature", "gates.0.temperature");
  }

  private void compare() {
    Axes expertsDown =
        Axes.of(config.experts(), config.inner(), golden.hyper("H").asInt()).as(0, 2, 1);
    WeightMap weights =
        router(new WeightMap())
            .put("experts.up.weight", "experts.batched_fc1_w")
            .put("experts.up.bias", "experts.batched_fc1_bias")
            .put("experts.down.weight", expertsDown, "experts.batched_fc2_w")
            .put("experts.down.bias", "experts.batched_fc2_bias");
    try (BlockReplay<MoeLayer> block = BlockReplay.of(replay, config, weights)) {
      Tensor out = block.layer().forward(block.pass(), x, null, null);
      double auxiliary = block.routes().losses().auxiliary();
      double weighted = golden.hyper("aux_coef").asDouble() * auxiliary;
      replay.close("l_aux", auxiliary);
      replay.close("loss", replay.objective(out.toFloats()) + weighted);
      if (golden.has("dispatch_count")) {
        replay.exact("dispatch_count", block.routes().counts());
      }
      block.compare(x, out);
    }
  }
}
