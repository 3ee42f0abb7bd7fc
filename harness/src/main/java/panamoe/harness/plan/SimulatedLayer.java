package panamoe.harness.plan;

import java.util.ArrayList;
import java.util.List;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Require;

/**
 * The MoE layer whose exchange {@code twin} simulates.
 *
 * @param model its name
 * @param number index among all layers, from 0
 * @param hidden M, width of a row
 */
record SimulatedLayer(String model, int number, MoeConfig moe, int hidden) {
  /**
   * @param model its name
   * @param number null for the first MoE layer
   * @throws IllegalArgumentException if the model has no MoE layer, or layer {@code number} is
   *     dense
   */
  static SimulatedLayer of(String model, ModelConfig config, Integer number) {
    List<SimulatedLayer> layers = new ArrayList<>();
    for (int i = 0; i < config.blocks().size(); i++) {
      if (config.blocks().get(i).feedForward() instanceof MoeConfig moe) {
        layers.add(new SimulatedLayer(model, i, moe, config.hidden()));
      }
    }
    Require.that(!layers.isEmpty(), "%s has no MoE layers", model);
    return layers.stream()
        .filter(layer -> number == null || number == layer.number)
        .findFirst()
        .orElseThrow(
            () ->
                Require.refusal(
                    "layer %d of %s is not an MoE layer, expected one of %s",
                    number, model, layers.stream().map(SimulatedLayer::number).toList()));
  }

  int experts() {
    return moe.experts();
  }

  /** K, experts per token. */
  int topK() {
    return moe.gate().topK();
  }
}
