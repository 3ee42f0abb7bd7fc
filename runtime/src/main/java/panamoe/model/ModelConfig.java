package panamoe.model;

import java.util.List;
import java.util.Objects;
import panamoe.backend.Activation;
import panamoe.moe.GateConfig;
import panamoe.moe.MoeConfig;
import panamoe.nn.Norm;

/**
 * A decoder-only language model of the paper's family, told apart by configuration alone: dense,
 * MoE on every n-th layer, Pyramid (experts differ by layer), Residual, and PR-MoE (both).
 *
 * @param vocabulary V, token ids
 * @param context longest sequence
 * @param hidden M
 * @param heads query heads; divides hidden
 * @param keyValueHeads divides heads; fewer than heads is grouped-query attention
 * @param feedForward F, inner width of dense MLPs and of experts
 * @param experts for each layer the number of experts; 0 is a dense layer. Its length is the number
 *     of layers
 * @param residual whether MoE layers keep a fixed MLP beside the routed expert
 * @param gate how tokens choose; null only when every layer is dense
 * @param activation of MLPs and experts
 * @param norm LayerNorm or RMSNorm
 * @param positions learned table or rotary
 * @param bias whether linear layers have biases
 * @param initialDeviation deviation of the initial weights
 */
public record ModelConfig(
    int vocabulary,
    int context,
    int hidden,
    int heads,
    int keyValueHeads,
    int feedForward,
    List<Integer> experts,
    boolean residual,
    GateConfig gate,
    Activation activation,
    Norm.Kind norm,
    Positions positions,
    boolean bias,
    double initialDeviation) {

  /** How a token's place enters. */
  public enum Positions {
    LEARNED,
    ROTARY
  }

  /** Most layers; far beyond any that was ever trained, and few enough to be built in no time. */
  public static final int MAX_LAYERS = 1024;

  // With these, no count of parameters or bytes overflows.
  private static final int MAX_SIZE = 1 << 24;
  private static final int MAX_WIDTH = 1 << 17;

  public ModelConfig {
    requireSize("vocabulary", vocabulary, MAX_SIZE);
    requireSize("context", context, MAX_SIZE);
    requireSize("hidden", hidden, MAX_WIDTH);
    requireSize("heads", heads, MAX_WIDTH);
    requireSize("keyValueHeads", keyValueHeads, MAX_WIDTH);
    requireSize("feedForward", feedForward, MAX_WIDTH);
    requirePresent("experts", experts);
    if (experts.stream().anyMatch(Objects::isNull)) {
      throw new IllegalArgumentException(
          "experts is " + experts + ", expected one number for each layer");
    }
    experts = List.copyOf(experts);
    if (experts.isEmpty()) {
      throw new IllegalArgumentException("experts is empty: the model would have zero layers");
    }
    if (experts.size() > MAX_LAYERS) {
      throw new IllegalArgumentException(
          "experts has "
              + experts.size()
              + " numbers, one for each layer, expected at most "
              + MAX_LAYERS);
    }
    if (hidden % heads != 0) {
      throw new IllegalArgumentException(
          "hidden is " + hidden + ", which " + heads + " heads do not divide");
    }
    if (heads % keyValueHeads != 0) {
      throw new IllegalArgumentException(
          "heads is " + heads + ", which " + keyValueHeads + " key/value heads do not divide");
    }
    if (positions == Positions.ROTARY && hidden / heads % 2 != 0) {
      throw new IllegalArgumentException(
          "rotary positions need an even head size, not " + hidden / heads);
    }
    if (!(initialDeviation > 0) || Float.isInfinite((float) initialDeviation)) {
      throw new IllegalArgumentException(
          "initialDeviation is " + initialDeviation + ", expected a positive float32");
    }
    requirePresent("activation", activation);
    requirePresent("norm", norm);
    requirePresent("positions", positions);
    for (int layer = 0; layer < experts.size(); layer++) {
      int count = experts.get(layer);
      if (count < 0 || count > MoeConfig.MAX_EXPERTS) {
        throw new IllegalArgumentException(
            "layer "
                + layer
                + " has "
                + count
                + " experts, expected 0 (dense) to "
                + MoeConfig.MAX_EXPERTS);
      }
      if (count > 0 && gate == null) {
        throw new IllegalArgumentException(
            "layer " + layer + " has experts but the config has no gate");
      }
      if (count > 0 && gate.topK() > count) {
        throw new IllegalArgumentException(
            "layer " + layer + " has " + count + " experts, fewer than topK = " + gate.topK());
      }
    }
  }

  public int layers() {
    return experts.size();
  }

  public int headSize() {
    return hidden / heads;
  }

  public boolean hasExperts() {
    return experts.stream().anyMatch(count -> count > 0);
  }

  /** The MoE layer at index {@code layer}, which has experts. */
  MoeConfig moe(int layer) {
    return new MoeConfig(hidden, feedForward, experts.get(layer), residual, activation, bias, gate);
  }

  /** The same model with another gate. */
  public ModelConfig withGate(GateConfig other) {
    return new ModelConfig(
        vocabulary,
        context,
        hidden,
        heads,
        keyValueHeads,
        feedForward,
        experts,
        residual,
        other,
        activation,
        norm,
        positions,
        bias,
        initialDeviation);
  }

  private static void requirePresent(String name, Object value) {
    if (value == null) {
      throw new IllegalArgumentException(name + " is missing");
    }
  }

  private static void requireSize(String name, int value, int most) {
    if (value < 1 || value > most) {
      throw new IllegalArgumentException(name + " is " + value + ", expected 1 to " + most);
    }
  }
}
