package panamoe.api;

import java.util.ArrayList;
import java.util.List;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.config.ModelConfig;
import panamoe.config.ModelPresets;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;

/**
 * The settings of a decoder-only language model of L layers, with rotary positions, layer norms and
 * tied embeddings. The list of experts determines the architecture: {@code [0, 0, 0, 0]} is dense,
 * {@code [0, 8, 0, 8]} MoE, and {@code [0, 8, 0, 16]} a pyramid; with {@code residual} the last two
 * are Residual MoE and PR-MoE.
 *
 * @param vocabulary V, token ids are 0 to V - 1
 * @param context longest sequence, in tokens
 * @param hidden M, width of a token
 * @param feedForward F, inner width of dense MLPs and of experts
 * @param heads of attention; divides hidden into heads of an even size
 * @param experts [L], number of experts of each layer, 0 (dense) to 1024
 * @param topK K, experts per token, 1 to 16
 * @param capacityFactor 0 keeps every route (dropless); otherwise an expert keeps at most this
 *     multiple of its even share, by DeepSpeed's rules for this K (at least 4 routes)
 * @param residual whether a fixed MLP runs in addition to the routed experts (Residual MoE)
 * @param activation of MLPs and experts: "gelu", "gelu_tanh", "relu", "silu", "swiglu"
 * @param auxiliaryCoefficient factor of every layer's load balancing loss in the gradients
 */
public record ModelSettings(
    int vocabulary,
    int context,
    int hidden,
    int feedForward,
    int heads,
    List<Integer> experts,
    int topK,
    double capacityFactor,
    boolean residual,
    String activation,
    double auxiliaryCoefficient) {
  static {
    RequiredJava.check();
  }

  /**
   * Copies the list, and checks the values.
   *
   * @throws PanamoeException.BadArgument if a value is null or out of range, or values contradict
   *     each other
   */
  public ModelSettings(
      int vocabulary,
      int context,
      int hidden,
      int feedForward,
      int heads,
      List<Integer> experts,
      int topK,
      double capacityFactor,
      boolean residual,
      String activation,
      double auxiliaryCoefficient) {
    this.vocabulary = vocabulary;
    this.context = context;
    this.hidden = hidden;
    this.feedForward = feedForward;
    this.heads = heads;
    this.experts = Failures.translating(() -> copy(experts));
    this.topK = topK;
    this.capacityFactor = capacityFactor;
    this.residual = residual;
    this.activation = activation;
    this.auxiliaryCoefficient = auxiliaryCoefficient;
    Failures.run(this::toConfig);
  }

  private static List<Integer> copy(List<Integer> experts) {
    List<Integer> copy = new ArrayList<>(Argument.notNull("experts", experts));
    copy.forEach(number -> Argument.notNull("a number of experts", number));
    return List.copyOf(copy);
  }

  /** A dropless top-1 model with F = 4 M, GELU, and a balancing coefficient of 0.01. */
  public static ModelSettings of(
      int vocabulary, int context, int hidden, int heads, List<Integer> experts) {
    if (hidden > Integer.MAX_VALUE / 4) {
      throw new PanamoeException.BadArgument(
          "hidden is " + hidden + ", more than any model has", null);
    }
    return new ModelSettings(
        vocabulary, context, hidden, 4 * hidden, heads, experts, 1, 0, false, "gelu_tanh", 0.01);
  }

  /** These settings with another number of experts per token. */
  public ModelSettings withTopK(int value) {
    return with(value, residual, capacityFactor);
  }

  /** These settings with or without the fixed MLPs. */
  public ModelSettings withResidual(boolean value) {
    return with(topK, value, capacityFactor);
  }

  /** These settings with another capacity factor; 0 is dropless. */
  public ModelSettings withCapacityFactor(double value) {
    return with(topK, residual, value);
  }

  private ModelSettings with(int topK, boolean residual, double capacityFactor) {
    return new ModelSettings(
        vocabulary,
        context,
        hidden,
        feedForward,
        heads,
        experts,
        topK,
        capacityFactor,
        residual,
        activation,
        auxiliaryCoefficient);
  }

  ModelConfig toConfig() {
    return new UniformModel(
            vocabulary,
            context,
            hidden,
            heads,
            heads,
            feedForward,
            experts,
            residual,
            LayerSettings.gate(topK, capacityFactor, auxiliaryCoefficient),
            LayerSettings.activation(activation),
            NormConfig.Kind.LAYER,
            UniformModel.Positions.ROTARY,
            true,
            ModelPresets.initialDeviation(hidden))
        .toConfig();
  }
}
