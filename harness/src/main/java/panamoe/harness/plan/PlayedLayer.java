package panamoe.harness.plan;

import java.util.List;
import panamoe.config.BlockConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;

/**
 * The MoE layer of a model whose exchange a twin plays.
 *
 * @param model its name
 * @param number among all layers, from 0
 * @param hidden M, numbers of a row
 */
record PlayedLayer(String model, int number, MoeConfig moe, int hidden) {
  /** A model by its name. */
  record Model(String name, ModelConfig config) {}

  /**
   * @param number null: the first MoE layer
   * @throws IllegalArgumentException if the model has no MoE layer, or that layer is not one
   */
  static PlayedLayer of(Model model, Integer number) {
    List<BlockConfig> blocks = model.config.blocks();
    for (int i = 0; i < blocks.size(); i++) {
      if ((number == null || number == i) && blocks.get(i).feedForward() instanceof MoeConfig moe) {
        return new PlayedLayer(model.name, i, moe, model.config.hidden());
      }
    }
    throw new IllegalArgumentException(
        number == null
            ? model.name + " has no MoE layers"
            : "layer " + number + " of " + model.name + " is no MoE layer");
  }

  int experts() {
    return moe.experts();
  }

  /** K, experts of a token. */
  int topK() {
    return moe.gate().topK();
  }
}
