package panamoe.lab.study;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;

/**
 * The models of the study: four layers, or eight for teachers, with experts of the size of an MLP.
 * Numbers of experts have the paper's ratios of 32 to 64 to 128.
 */
final class Shapes {
  static final int HIDDEN = 64;

  /** Width of the second size of S3, with twice the FLOPs. */
  static final int WIDER = 96;

  /** Width of a dense model with four to five times the parameters of one of {@link #HIDDEN}. */
  static final int LARGER = 144;

  /** Vocabulary of the tokenizer that each run trains on its text. */
  static final int VOCABULARY = 1024;

  /** The smallest number of experts, for the paper's 32. */
  static final int FEW = 16;

  static final int TWICE = 2 * FEW;
  static final int MANY = 4 * FEW;

  private static final int HEADS = 4;

  private Shapes() {}

  static ModelConfig dense(int hidden) {
    return model(hidden, List.of(0, 0, 0, 0), false, null);
  }

  /** Experts in every second layer with a dropless top-1 gate. */
  static ModelConfig moe(int hidden, int experts) {
    return model(hidden, List.of(0, experts, 0, experts), false, GateConfig.dropless(1));
  }

  /** The pyramid has twice the experts in the last MoE layer. */
  static ModelConfig pyramid(int hidden, boolean residual) {
    return model(hidden, List.of(0, FEW, 0, TWICE), residual, GateConfig.dropless(1));
  }

  /** {@link #FEW} experts plus a fixed MLP in every second layer. */
  static ModelConfig residual(int hidden) {
    return model(hidden, List.of(0, FEW, 0, FEW), true, GateConfig.dropless(1));
  }

  /** {@link #FEW} experts in every second layer with another gate. */
  static ModelConfig gated(int hidden, GateConfig gate) {
    return model(hidden, List.of(0, FEW, 0, FEW), false, gate);
  }

  /** A PR-MoE of eight layers; the last of its four MoE layers has twice the experts. */
  static ModelConfig teacher() {
    List<Integer> experts = List.of(0, FEW, 0, FEW, 0, FEW, 0, TWICE);
    return model(HIDDEN, experts, true, GateConfig.dropless(1));
  }

  /** A standard MoE of as many layers as the teacher, with the paper's 128 experts. */
  static ModelConfig standard() {
    List<Integer> experts = List.of(0, MANY, 0, MANY, 0, MANY, 0, MANY);
    return model(HIDDEN, experts, false, GateConfig.dropless(1));
  }

  /**
   * @param experts per layer; 0 for a dense layer
   * @param residual true for a fixed MLP next to the experts
   * @param gate null if every layer is dense
   */
  static ModelConfig model(int hidden, List<Integer> experts, boolean residual, GateConfig gate) {
    return new UniformModel(
            VOCABULARY,
            StudyBudget.SEQUENCE,
            hidden,
            new UniformModel.Attention(HEADS, HEADS, UniformModel.Positions.ROTARY),
            new UniformModel.FeedForward(4 * hidden, Activation.GELU_TANH, experts, residual, gate),
            NormConfig.Kind.LAYER,
            true,
            ModelPresets.initialDeviation(hidden))
        .toConfig();
  }
}
