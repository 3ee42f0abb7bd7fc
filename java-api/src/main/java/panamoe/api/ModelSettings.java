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
 * @param heads of attention; divides hidden into heads of an even size
 * @param experts [L], number of experts of each layer, 0 (dense) to 1024
 */
public record ModelSettings(
    int vocabulary,
    int context,
    int hidden,
    int heads,
    List<Integer> experts,
    FeedForward feedForward,
    Gate gate) {
  static {
    RequiredJava.check();
  }

  /**
   * The dense MLPs and the experts of a model.
   *
   * @param inner F, inner width of dense MLPs and of experts
   * @param activation of MLPs and experts
   * @param residual whether a fixed MLP runs next to the routed experts (Residual MoE)
   */
  public record FeedForward(int inner, Activation activation, boolean residual) {}

  /**
   * How the tokens of a model choose experts.
   *
   * @param topK K, experts per token, 1 to 16
   * @param capacityFactor 0 keeps every route (dropless); otherwise an expert keeps at most this
   *     many times its even share, by DeepSpeed's rules for this K (at least 4 routes)
   * @param auxiliaryCoefficient factor of every layer's load balancing loss in the gradients
   */
  public record Gate(int topK, double capacityFactor, double auxiliaryCoefficient) {}

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
      int heads,
      List<Integer> experts,
      FeedForward feedForward,
      Gate gate) {
    this.vocabulary = vocabulary;
    this.context = context;
    this.hidden = hidden;
    this.heads = heads;
    this.experts = Failures.translating(() -> copy(experts));
    this.feedForward = feedForward;
    this.gate = gate;
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
    FeedForward feedForward = new FeedForward(4 * hidden, Activation.GELU_TANH, false);
    return new ModelSettings(
        vocabulary, context, hidden, heads, experts, feedForward, new Gate(1, 0, 0.01));
  }

  /** These settings with other MLPs and experts. */
  public ModelSettings with(FeedForward value) {
    return new ModelSettings(vocabulary, context, hidden, heads, experts, value, gate);
  }

  /** These settings with another choice of experts. */
  public ModelSettings with(Gate value) {
    return new ModelSettings(vocabulary, context, hidden, heads, experts, feedForward, value);
  }

  /** These settings with another number of experts per token. */
  public ModelSettings withTopK(int value) {
    return with(new Gate(value, gate.capacityFactor, gate.auxiliaryCoefficient));
  }

  /** These settings with or without the fixed MLPs. */
  public ModelSettings withResidual(boolean value) {
    return with(new FeedForward(feedForward.inner, feedForward.activation, value));
  }

  /** These settings with another capacity factor; 0 is dropless. */
  public ModelSettings withCapacityFactor(double value) {
    return with(new Gate(gate.topK, value, gate.auxiliaryCoefficient));
  }

  ModelConfig toConfig() {
    ModelConfig.requireHidden(hidden); // before the width of the MLPs, which may follow from it
    Argument.notNull("feedForward", feedForward);
    Argument.notNull("gate", gate);
    return new UniformModel(
            vocabulary,
            context,
            hidden,
            new UniformModel.Attention(heads, heads, UniformModel.Positions.ROTARY),
            new UniformModel.FeedForward(
                feedForward.inner,
                Argument.notNull("activation", feedForward.activation).ofKernels(),
                experts,
                feedForward.residual,
                LayerSettings.gate(gate.topK, gate.capacityFactor, gate.auxiliaryCoefficient)),
            NormConfig.Kind.LAYER,
            true,
            ModelPresets.initialDeviation(hidden))
        .toConfig();
  }
}
