package panamoe.lab.bench;

import java.util.Locale;
import java.util.Map;
import panamoe.backend.Activation;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.io.Require;
import panamoe.moe.Gate;
import panamoe.moe.MoeLayer;
import panamoe.param.Declarations;
import panamoe.param.Parameter.Part;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;

/**
 * The shape of one MoE layer.
 *
 * @param name as given on the command line
 * @param hidden M
 * @param expertHidden F
 * @param experts E
 * @param topK K
 * @param activation SwiGLU experts have three matrices, all others two
 * @param copies number of layers that calls rotate over, so that weights do not come from a cache
 */
public record LayerShape(
    String name,
    int hidden,
    int expertHidden,
    int experts,
    int topK,
    Activation activation,
    int copies) {
  private static final Map<String, LayerShape> NAMED =
      Map.of(
          "s1", new LayerShape("s1", 1024, 4096, 32, 1, Activation.GELU, 2),
          "s2", new LayerShape("s2", 1024, 3584, 8, 2, Activation.SWIGLU, 4),
          "s3", new LayerShape("s3", 2048, 1024, 64, 8, Activation.SWIGLU, 1),
          "demo", lastOf("demo", TrainStepBench.DEMO));

  /** Bytes of weights larger than any cache. */
  private static final double BEYOND_CACHE = 512e6;

  private static final int MAX_COPIES = 8;
  private static final int MAX_SIZE = 1 << 16;

  /**
   * Reads {@code s1}, {@code s2}, {@code s3}, {@code demo}, or {@code MxFxExK} for GELU experts and
   * {@code MxFxExK-swiglu}.
   *
   * @throws IllegalArgumentException with a one-sentence message if it is neither
   */
  public static LayerShape parse(String text) {
    String lower = text.toLowerCase(Locale.ROOT);
    if (NAMED.containsKey(lower)) {
      return NAMED.get(lower);
    }
    boolean gated = lower.endsWith("-swiglu");
    String[] sizes =
        (gated ? lower.substring(0, lower.length() - "-swiglu".length()) : lower).split("x", -1);
    if (sizes.length != 4) {
      throw unreadable(text);
    }
    int[] numbers = new int[4];
    for (int i = 0; i < 4; i++) {
      try {
        numbers[i] = Integer.parseInt(sizes[i]);
      } catch (NumberFormatException e) {
        throw unreadable(text);
      }
      Require.that(
          numbers[i] <= MAX_SIZE, "shape '%s': %s is more than %s", text, numbers[i], MAX_SIZE);
    }
    LayerShape one =
        new LayerShape(
            lower,
            numbers[0],
            numbers[1],
            numbers[2],
            numbers[3],
            gated ? Activation.SWIGLU : Activation.GELU,
            1);
    one.config(); // throws if the sizes are invalid
    double bytes = one.experts * one.expertBytes(DType.BFLOAT16);
    int copies = (int) Math.clamp(Math.ceil(BEYOND_CACHE / bytes), 1, MAX_COPIES);
    return new LayerShape(
        one.name, one.hidden, one.expertHidden, one.experts, one.topK, one.activation, copies);
  }

  /** The last MoE layer of a model. */
  private static LayerShape lastOf(String name, ModelConfig model) {
    MoeConfig moe = (MoeConfig) model.blocks().getLast().feedForward();
    int topK = moe.gate().topK();
    return new LayerShape(
        name, model.hidden(), moe.inner(), moe.experts(), topK, Activation.GELU, 1);
  }

  /** The layer's configuration: dropless, without biases. */
  public MoeConfig config() {
    return MoeConfig.of(experts, expertHidden, activation, false, GateConfig.dropless(topK));
  }

  /**
   * The layer in {@code store}, which declares its parameters.
   *
   * @param copy number of the layer
   */
  MoeLayer layer(ParameterStore store, int copy) {
    Declarations at = Declarations.of(store, LayerBench.DEVIATION, "layer");
    return new MoeLayer(at, copy, hidden, config());
  }

  /** The layer's gate in {@code store}. */
  Gate gate(ParameterStore store) {
    Declarations at = Declarations.of(store, LayerBench.DEVIATION, "gate");
    return new Gate(at, hidden, experts, config().gate());
  }

  /** Bytes of one expert's matrices. */
  public double expertBytes(DType dtype) {
    try (ParameterStore store = new ParameterStore()) {
      layer(store, 0);
      return (double) store.countByPart().get(Part.EXPERT) / experts * dtype.bytes();
    }
  }

  private static IllegalArgumentException unreadable(String text) {
    return new IllegalArgumentException(
        "shape is '"
            + text
            + "', expected s1, s2, s3, demo or MxFxExK (hidden x expert hidden x experts x choices, e.g."
            + " 512x2048x16x2, with -swiglu behind it for gated experts)");
  }
}
