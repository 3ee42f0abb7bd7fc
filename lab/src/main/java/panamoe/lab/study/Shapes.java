package panamoe.lab.study;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.model.KeptLayers;

/**
 * The models of the study: four layers, and experts of the size of the MLP that they stand for.
 * Numbers of experts have the paper's ratios of 32 to 64 to 128.
 */
final class Shapes {
  static final int HIDDEN = 64;

  /** A dense model of it has four to five times the parameters of one of {@link #HIDDEN}. */
  static final int LARGER = 144;

  /** Tokens of the tokenizer that each run trains on its text. */
  static final int VOCABULARY = 1024;

  /** Experts of the paper's 32, 64 and 128. */
  static final int FEW = 16;

  static final int TWICE = 2 * FEW;
  static final int MANY = 4 * FEW;

  private static final int HEADS = 4;

  private Shapes() {}

  static ModelConfig dense(int hidden) {
    return model(hidden, List.of(0, 0, 0, 0), false, null);
  }

  /** Experts in every second layer, by a dropless top-1 gate. */
  static ModelConfig moe(int hidden, int experts) {
    return model(hidden, List.of(0, experts, 0, experts), false, GateConfig.dropless(1));
  }

  /** The pyramid has twice the experts in the last MoE layer. */
  static ModelConfig pyramid(int hidden, boolean residual) {
    return model(hidden, List.of(0, FEW, 0, TWICE), residual, GateConfig.dropless(1));
  }

  /** {@link #FEW} experts and a fixed MLP beside them in every second layer. */
  static ModelConfig residual() {
    return model(HIDDEN, List.of(0, FEW, 0, FEW), true, GateConfig.dropless(1));
  }

  /** What a student keeps of such a model: all but the second layer, and so its experts. */
  static KeptLayers kept(ModelConfig model) {
    return KeptLayers.of(model.layers() - 1, model);
  }

  /** {@link #FEW} experts in every second layer, by another gate. */
  static ModelConfig gated(GateConfig gate) {
    return model(HIDDEN, List.of(0, FEW, 0, FEW), false, gate);
  }

  /**
   * @param experts of each layer; 0 for a dense one
   * @param residual whether a fixed MLP stands beside the experts
   * @param gate null if every layer is dense
   */
  static ModelConfig model(int hidden, List<Integer> experts, boolean residual, GateConfig gate) {
    return new UniformModel(
            VOCABULARY,
            Budget.SEQUENCE,
            hidden,
            new UniformModel.Attention(HEADS, HEADS, UniformModel.Positions.ROTARY),
            new UniformModel.FeedForward(4 * hidden, Activation.GELU_TANH, experts, residual, gate),
            NormConfig.Kind.LAYER,
            true,
            ModelPresets.initialDeviation(hidden))
        .toConfig();
  }
}
