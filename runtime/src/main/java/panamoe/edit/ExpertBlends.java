package panamoe.edit;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.IntFunction;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Require;

/**
 * Replaces the experts in MoE layers by blends of the old ones: of weights and biases, rows of the
 * router, router biases and corrections. All else keeps its bits.
 *
 * @param before the model
 * @param config the edited one
 * @param layers for each MoE layer the blend of each new expert
 * @param noise of copies; null without copies
 */
record ExpertBlends(
    ModelConfig before, ModelConfig config, Map<Integer, List<Blend>> layers, Noise noise)
    implements Edit {

  /**
   * @param share of the expert in a blend; they sum to 1
   */
  record Part(int expert, double share) {}

  /**
   * @param copied whether noise is added to its weights
   */
  record Blend(List<Part> parts, boolean copied) {
    /** An unchanged expert. */
    static Blend of(int expert) {
      return new Blend(List.of(new Part(expert, 1)), false);
    }
  }

  /** The MoE layers of a model by index. */
  static Map<Integer, MoeConfig> moeLayers(ModelConfig model) {
    Map<Integer, MoeConfig> layers = new TreeMap<>();
    for (int layer = 0; layer < model.layers(); layer++) {
      if (model.blocks().get(layer).feedForward() instanceof MoeConfig moe) {
        layers.put(layer, moe);
      }
    }
    Require.that(!layers.isEmpty(), "the model has no experts, all its layers are dense");
    return layers;
  }

  /**
   * The model with other experts.
   *
   * @throws IllegalArgumentException with the layer, if it has no experts or {@code change} throws
   */
  static ModelConfig changed(ModelConfig model, BiFunction<Integer, MoeConfig, MoeConfig> change) {
    List<BlockConfig> blocks = new ArrayList<>(model.blocks());
    moeLayers(model)
        .forEach(
            (layer, moe) -> {
              try {
                blocks.set(layer, blocks.get(layer).withFeedForward(change.apply(layer, moe)));
              } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException("layer " + layer + ": " + e.getMessage(), e);
              }
            });
    return model.withBlocks(blocks);
  }

  @Override
  public float[] tensor(String name, Source source) {
    LayerNames.ExpertTensor expert = LayerNames.expert(name);
    if (expert != null) {
      int layer = expert.layer();
      Blend blend = layers.get(layer).get(expert.expert());
      float[] values =
          blended(blend, i -> source.read(LayerNames.expert(layer, i, expert.tensor())));
      if (blend.copied() && expert.tensor().endsWith(".weight")) {
        noise.add(values, 0, values.length, name, Noise.deviation(values));
      }
      return values;
    }
    LayerNames.GateTensor gate = LayerNames.gate(name);
    float[] values = source.read(name);
    return gate == null ? values : rows(name, gate, values);
  }

  /** A tensor of the gate, with a row for each new expert. */
  private float[] rows(String name, LayerNames.GateTensor gate, float[] values) {
    List<Blend> blends = layers.get(gate.layer());
    int size = values.length / before.experts().get(gate.layer());
    double deviation = Noise.deviation(values);
    float[] rows = new float[blends.size() * size];
    for (int row = 0; row < blends.size(); row++) {
      Blend blend = blends.get(row);
      float[] blended = blended(blend, i -> Arrays.copyOfRange(values, i * size, (i + 1) * size));
      System.arraycopy(blended, 0, rows, row * size, size);
      if (blend.copied() && gate.tensor().endsWith("weight")) {
        noise.add(rows, row * size, (row + 1) * size, name + "." + row, deviation);
      }
    }
    return rows;
  }

  private static float[] blended(Blend blend, IntFunction<float[]> experts) {
    if (blend.parts().size() == 1) {
      return experts.apply(blend.parts().getFirst().expert());
    }
    double[] sum = null;
    for (Part part : blend.parts()) {
      float[] values = experts.apply(part.expert());
      sum = sum == null ? new double[values.length] : sum;
      for (int i = 0; i < values.length; i++) {
        sum[i] += part.share() * values[i];
      }
    }
    float[] rounded = new float[sum.length];
    for (int i = 0; i < rounded.length; i++) {
      rounded[i] = (float) sum[i];
    }
    return rounded;
  }
}
