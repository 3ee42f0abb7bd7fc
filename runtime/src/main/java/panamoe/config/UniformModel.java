package panamoe.config;

import java.util.List;
import java.util.Objects;
import panamoe.backend.Activation;
import panamoe.io.Require;

/**
 * The paper's family: blocks that differ in their number of experts alone. It covers dense models,
 * MoE on every n-th layer, Pyramid (experts differ by layer), Residual, and PR-MoE (both).
 *
 * @param vocabulary V, token ids
 * @param context longest sequence
 * @param hidden M
 * @param norm LayerNorm or RMSNorm
 * @param bias whether linear layers have biases
 * @param initialDeviation standard deviation of the initial weights
 */
public record UniformModel(
    int vocabulary,
    int context,
    int hidden,
    Attention attention,
    FeedForward feedForward,
    NormConfig.Kind norm,
    boolean bias,
    double initialDeviation) {

  private static final double EPSILON = 1e-5;
  private static final double ROTARY_BASE = 10_000;

  /** How a token's position enters. */
  public enum Positions {
    LEARNED,
    ROTARY
  }

  /**
   * @param heads query heads; divides hidden
   * @param keyValueHeads divides heads; fewer than heads is grouped-query attention
   * @param positions learned table or rotary
   */
  public record Attention(int heads, int keyValueHeads, Positions positions) {
    public Attention {
      Require.size("heads", heads, Require.MAX_WIDTH);
      Require.size("keyValueHeads", keyValueHeads, Require.MAX_WIDTH);
      Require.that(
          heads % keyValueHeads == 0,
          "heads is %s, which %s key/value heads do not divide",
          heads,
          keyValueHeads);
      Require.present("positions", positions);
    }
  }

  /**
   * @param width F, inner width of dense MLPs and of experts
   * @param activation of MLPs and experts
   * @param experts for each layer the number of experts; 0 is a dense layer. Its length is the
   *     number of layers
   * @param residual whether MoE layers add a fixed MLP to the routed expert
   * @param gate how tokens choose; null only when every layer is dense
   */
  public record FeedForward(
      int width, Activation activation, List<Integer> experts, boolean residual, GateConfig gate) {
    public FeedForward {
      Require.size("feedForward", width, Require.MAX_WIDTH);
      Require.present("activation", activation);
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
      for (int layer = 0; layer < experts.size(); layer++) {
        requireLayer(layer, experts.get(layer), gate);
      }
    }
  }

  public UniformModel {
    Require.size("vocabulary", vocabulary, Require.MAX_SIZE);
    Require.size("context", context, Require.MAX_SIZE);
    Require.size("hidden", hidden, Require.MAX_WIDTH);
    int heads = attention.heads;
    Require.that(hidden % heads == 0, "hidden is %s, which %s heads do not divide", hidden, heads);
    Require.present("norm", norm);
    Require.positiveFloat("initialDeviation", initialDeviation);
    if (attention.positions == Positions.ROTARY) {
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
    boolean learned = attention.positions == Positions.LEARNED;
    return new ModelConfig(
        vocabulary,
        context,
        hidden,
        new EmbeddingConfig(
            learned ? EmbeddingConfig.Positions.LEARNED : EmbeddingConfig.Positions.NONE),
        feedForward.experts.stream().map(this::block).toList(),
        normConfig(),
        HeadConfig.TIED,
        InitialWeights.of(initialDeviation, feedForward.experts.size()));
  }

  private NormConfig normConfig() {
    return new NormConfig(norm, EPSILON);
  }

  private BlockConfig block(int count) {
    int headSize = hidden / attention.heads;
    AttentionConfig config =
        new GroupedQueryConfig(
            new GroupedQueryConfig.Heads(attention.heads, attention.keyValueHeads, headSize),
            GroupedQueryConfig.Biases.all(bias),
            null,
            null,
            attention.positions == Positions.ROTARY ? Rotary.whole(ROTARY_BASE, headSize) : null,
            AttentionConfig.Scores.CAUSAL);
    return new BlockConfig(normConfig(), config, normConfig(), feedForward(count));
  }

  private FeedForwardConfig feedForward(int count) {
    int width = feedForward.width;
    if (count == 0) {
      return new DenseConfig(width, feedForward.activation, bias);
    }
    MoeConfig moe = MoeConfig.of(count, width, feedForward.activation, bias, feedForward.gate);
    return feedForward.residual ? moe.withResidual() : moe;
  }
}
