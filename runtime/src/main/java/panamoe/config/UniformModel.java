package panamoe.config;

import java.util.List;
import java.util.Objects;
import panamoe.backend.Activation;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * The paper's family: blocks that are alike except for their number of experts. It tells dense
 * models, MoE on every n-th layer, Pyramid (experts differ by layer), Residual, and PR-MoE (both)
 * apart.
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
public record UniformModel(
    int vocabulary,
    int context,
    int hidden,
    int heads,
    int keyValueHeads,
    int feedForward,
    List<Integer> experts,
    boolean residual,
    @Omittable GateConfig gate,
    Activation activation,
    NormConfig.Kind norm,
    Positions positions,
    boolean bias,
    double initialDeviation) {

  private static final double EPSILON = 1e-5;
  private static final double ROTARY_BASE = 10_000;

  /** How a token's place enters. */
  public enum Positions {
    LEARNED,
    ROTARY
  }

  public UniformModel {
    Require.size("vocabulary", vocabulary, Require.MAX_SIZE);
    Require.size("context", context, Require.MAX_SIZE);
    Require.size("hidden", hidden, Require.MAX_WIDTH);
    Require.size("heads", heads, Require.MAX_WIDTH);
    Require.size("keyValueHeads", keyValueHeads, Require.MAX_WIDTH);
    Require.size("feedForward", feedForward, Require.MAX_WIDTH);
    Require.present("experts", experts);
    if (experts.stream().anyMatch(Objects::isNull)) {
      throw new IllegalArgumentException(
          "experts is " + experts + ", expected one number for each layer");
    }
    experts = List.copyOf(experts);
    Require.that(!experts.isEmpty(), "experts is empty: the model would have zero layers");
    Require.that(
        experts.size() <= ModelConfig.MAX_LAYERS,
        "experts has %s numbers, one for each layer, expected at most %s",
        experts.size(),
        ModelConfig.MAX_LAYERS);
    Require.that(hidden % heads == 0, "hidden is %s, which %s heads do not divide", hidden, heads);
    if (heads % keyValueHeads != 0) {
      throw new IllegalArgumentException(
          "heads is " + heads + ", which " + keyValueHeads + " key/value heads do not divide");
    }
    Require.positiveFloat("initialDeviation", initialDeviation);
    Require.present("activation", activation);
    Require.present("norm", norm);
    Require.present("positions", positions);
    for (int layer = 0; layer < experts.size(); layer++) {
      requireLayer(layer, experts.get(layer), gate);
    }
    if (positions == Positions.ROTARY) {
      Rotary.whole(ROTARY_BASE, hidden / heads); // refuses an odd head size
    }
  }

  private static void requireLayer(int layer, int experts, GateConfig gate) {
    if (experts < 0 || experts > MoeConfig.MAX_EXPERTS) {
      throw Require.refusal(
          "layer %s has %s experts, expected 0 (dense) to %s",
          layer, experts, MoeConfig.MAX_EXPERTS);
    }
    Require.that(
        experts <= 0 || gate != null, "layer %s has experts but the config has no gate", layer);
    if (experts > 0) {
      try {
        gate.requireFits(experts);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("layer " + layer + ": " + e.getMessage(), e);
      }
    }
  }

  /** The model, block by block. */
  public ModelConfig toConfig() {
    boolean learned = positions == Positions.LEARNED;
    return new ModelConfig(
        vocabulary,
        context,
        hidden,
        new EmbeddingConfig(
            learned ? EmbeddingConfig.Positions.LEARNED : EmbeddingConfig.Positions.NONE),
        experts.stream().map(this::block).toList(),
        normConfig(),
        HeadConfig.TIED,
        InitialWeights.of(initialDeviation, experts.size()));
  }

  private NormConfig normConfig() {
    return new NormConfig(norm, EPSILON);
  }

  private BlockConfig block(int count) {
    int headSize = hidden / heads;
    AttentionConfig attention =
        new GroupedQueryConfig(
            new GroupedQueryConfig.Heads(heads, keyValueHeads, headSize),
            GroupedQueryConfig.Biases.all(bias),
            null,
            null,
            positions == Positions.ROTARY ? Rotary.whole(ROTARY_BASE, headSize) : null,
            AttentionConfig.Scores.CAUSAL);
    return new BlockConfig(normConfig(), attention, normConfig(), feedForward(count));
  }

  private FeedForwardConfig feedForward(int count) {
    if (count == 0) {
      return new DenseConfig(feedForward, activation, bias);
    }
    MoeConfig moe = MoeConfig.of(count, feedForward, activation, bias, gate);
    return residual ? moe.withResidual() : moe;
  }
}
