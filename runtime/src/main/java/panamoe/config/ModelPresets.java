package panamoe.config;

import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import panamoe.backend.Activation;

/** Named sizes and architectures. */
public final class ModelPresets {
  private ModelPresets() {}

  /** The replacement of the MLP in every second layer; {@link #MIXTRAL} differs in all layers. */
  public enum Architecture {
    /** No replacement. */
    DENSE,
    /** Equally many experts in every second layer. */
    MOE,
    /** Twice as many experts in the last third of the MoE layers, at least in one of them. */
    PYRAMID,
    /** A fixed MLP beside the experts of every second layer. */
    RESIDUAL,
    /**
     * Pyramid-Residual: twice the experts in the last third of the MoE layers, at least one, and a
     * fixed MLP.
     */
    PR_MOE,
    /**
     * DeepSeek-V3's routing in every second layer: top-2 and a shared expert, each half as wide as
     * the MLP; a correction bias instead of an auxiliary loss.
     */
    DEEPSEEK,
    /**
     * Mixtral: top-2 in every layer, experts half as wide as the MLP, SwiGLU, RMSNorm, no biases.
     * transformers and llama.cpp can load it.
     */
    MIXTRAL;

    /** The name in options, such as {@code pr-moe}. */
    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  /** The size of a model. */
  public enum Size {
    /** Seconds per run, for tests. */
    TINY(128, 64, 4, 2, 4),
    /** The demo's: reads as words after a minute or two on two cores. */
    DEMO(256, 128, 2, 4, 8),
    /** Minutes per run on two cores. */
    SMALL(256, 256, 4, 4, 8),
    /** The training benchmark: six layers of width 256 over sequences of 256. */
    BASE(256, 256, 8, 6, 16);

    private final int context;
    private final int hidden;
    private final int heads;
    private final int layers;
    private final int experts;

    Size(int context, int hidden, int heads, int layers, int experts) {
      this.context = context;
      this.hidden = hidden;
      this.heads = heads;
      this.layers = layers;
      this.experts = experts;
    }

    /** Context in tokens. */
    public int context() {
      return context;
    }

    /** Experts of an MoE layer, before a pyramid doubles them. */
    public int experts() {
      return experts;
    }
  }

  /** A dropless model; {@code vocabulary} is 257 for bytes. */
  public static ModelConfig of(Size size, Architecture architecture, int vocabulary) {
    return of(size, architecture, vocabulary, size.context, size.experts);
  }

  /**
   * Like {@link #of(Size, Architecture, int)}, with another context and number of experts.
   *
   * @param experts of the first MoE layers
   */
  public static ModelConfig of(
      Size size, Architecture architecture, int vocabulary, int context, int experts) {
    GateConfig gate =
        switch (architecture) {
          case DENSE -> null;
          case MOE, PYRAMID, RESIDUAL, PR_MOE -> GateConfig.dropless(1);
          case MIXTRAL -> GateConfig.dropless(2);
          case DEEPSEEK -> GateConfig.deepSeek(2, experts);
        };
    ModelConfig model = uniform(size, architecture, vocabulary, context, experts, gate);
    return architecture == Architecture.DEEPSEEK
        ? model.withBlocks(model.blocks().stream().map(ModelPresets::withSharedExpert).toList())
        : model;
  }

  private static ModelConfig uniform(
      Size size,
      Architecture architecture,
      int vocabulary,
      int context,
      int experts,
      GateConfig gate) {
    boolean mixtral = architecture == Architecture.MIXTRAL;
    // With learned positions, a model this small needs thousands of steps before it attends beyond
    // the previous letter.
    UniformModel.Positions positions = UniformModel.Positions.ROTARY;
    return new UniformModel(
            vocabulary,
            context,
            size.hidden,
            new UniformModel.Attention(size.heads, size.heads, positions),
            new UniformModel.FeedForward(
                (mixtral ? 2 : 4) * size.hidden,
                mixtral ? Activation.SWIGLU : Activation.GELU_TANH,
                experts(size, architecture, experts),
                architecture == Architecture.RESIDUAL || architecture == Architecture.PR_MOE,
                gate),
            mixtral ? NormConfig.Kind.RMS : NormConfig.Kind.LAYER,
            !mixtral,
            initialDeviation(size.hidden))
        .toConfig();
  }

  /** The block with experts of half the width, and a shared one. */
  private static BlockConfig withSharedExpert(BlockConfig block) {
    if (!(block.feedForward() instanceof MoeConfig moe)) {
      return block;
    }
    int inner = moe.inner() / 2;
    return block.withFeedForward(
        new MoeConfig(
            moe.experts(),
            inner,
            moe.activation(),
            moe.bias(),
            moe.gate(),
            new MoeConfig.SharedExpert(inner, false),
            null));
  }

  /**
   * Standard deviation of the initial weights for width {@code hidden}. With the usual 0.02, narrow
   * models stay at letter frequencies for their first hundred steps.
   */
  public static double initialDeviation(int hidden) {
    return 0.7 / Math.sqrt(hidden);
  }

  /**
   * The models of DeepSpeed-MoE: 1-based layer n has experts iff n is even; {@code pyramid} MoE
   * layers at the end have twice as many.
   *
   * @param experts of the first MoE layers; 0 for a dense model
   * @param pyramid number of MoE layers with {@code 2 * experts}
   */
  public static ModelConfig paper(
      int hidden, int layers, int heads, int experts, int pyramid, boolean residual) {
    return new UniformModel(
            50257,
            2048,
            hidden,
            new UniformModel.Attention(heads, heads, UniformModel.Positions.LEARNED),
            new UniformModel.FeedForward(
                4 * hidden,
                Activation.GELU_TANH,
                everySecond(layers, experts, pyramid),
                residual,
                experts == 0 ? null : GateConfig.deepSpeed(1, 1.0, 4)),
            NormConfig.Kind.LAYER,
            true,
            0.014)
        .toConfig();
  }

  private static List<Integer> experts(Size size, Architecture architecture, int experts) {
    if (architecture == Architecture.MIXTRAL) {
      return Collections.nCopies(size.layers, experts);
    }
    boolean pyramid = architecture == Architecture.PYRAMID || architecture == Architecture.PR_MOE;
    int doubled = pyramid ? Math.max(1, size.layers / 2 / 3) : 0;
    return everySecond(size.layers, architecture == Architecture.DENSE ? 0 : experts, doubled);
  }

  /** Experts in every second layer, twice as many in the last {@code doubled} of these. */
  private static List<Integer> everySecond(int layers, int experts, int doubled) {
    return IntStream.range(0, layers)
        .map(i -> i % 2 == 0 ? 0 : i / 2 < layers / 2 - doubled ? experts : 2 * experts)
        .boxed()
        .toList();
  }
}
