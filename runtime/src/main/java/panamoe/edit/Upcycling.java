package panamoe.edit;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Require;

/**
 * Turns a dense model into an MoE (sparse upcycling, arXiv 2212.05055): in some layers, experts are
 * copies of the MLP, each with its own noise, with a new router.
 *
 * <p>Without noise, all experts equal the MLP. From top-2 on a token's weights sum to 1, so the
 * model's output is unchanged. A top-1 gate needs the raw score as weight to get a gradient; scaled
 * by the number of experts it is about 1 for a new router, so the output is nearly unchanged.
 */
public record Upcycling(ModelConfig config, Set<Integer> layers, Noise noise) implements Edit {
  /**
   * @param layers indices from 0
   * @throws IllegalArgumentException if the model has experts already, if it has no such layer, or
   *     if the gate does not fit the experts
   */
  public static Upcycling of(
      ModelConfig model, List<Integer> layers, int experts, int topK, Noise noise) {
    if (model.hasExperts()) {
      throw Require.refusal(
          "the model has experts already, by layer %s; only a dense one can be upcycled",
          model.experts());
    }
    Require.that(!layers.isEmpty(), "no layer would get experts, expected one or more");
    List<BlockConfig> blocks = new ArrayList<>(model.blocks());
    for (int layer : layers) {
      LayerNames.requireLayer(model, layer, "get experts");
      DenseConfig mlp = (DenseConfig) model.blocks().get(layer).feedForward();
      GateConfig gate = GateConfig.dropless(topK);
      MoeConfig moe = MoeConfig.of(experts, mlp.inner(), mlp.activation(), mlp.bias(), gate);
      moe = moe.withGate(gate.forCopies(experts));
      blocks.set(layer, blocks.get(layer).withFeedForward(moe));
    }
    return new Upcycling(model.withBlocks(blocks), Set.copyOf(layers), noise);
  }

  /** Every second layer, as in the paper: 1, 3, 5, ... */
  public static List<Integer> everySecondLayer(ModelConfig model) {
    return IntStream.range(0, model.layers()).filter(layer -> layer % 2 == 1).boxed().toList();
  }

  @Override
  public float[] tensor(String name, Source source) {
    LayerNames.ExpertTensor expert = LayerNames.expert(name);
    if (expert != null) {
      float[] values = source.read(LayerNames.mlp(expert.layer(), expert.tensor()));
      if (expert.tensor().endsWith(".weight")) {
        noise.add(values, 0, values.length, name, Noise.deviation(values));
      }
      return values;
    }
    LayerNames.GateTensor gate = LayerNames.gate(name);
    if (gate != null) {
      int experts = config.experts().get(gate.layer());
      return noise.fresh(experts * config.hidden(), name, config.initialWeights().deviation());
    }
    return source.read(name);
  }
}
