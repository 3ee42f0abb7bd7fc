package panamoe.model.family;

import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;

/**
 * Rotary positions in either spelling: {@code rope_theta} and {@code rope_scaling}, or {@code
 * rope_parameters} with both (transformers 5).
 */
public final class RotaryKeys {
  private final Keys keys;
  private final Keys scaling;

  private RotaryKeys(Keys keys, Keys scaling) {
    this.keys = keys;
    this.scaling = scaling;
  }

  /**
   * The positions of a configuration.
   *
   * @param base the default
   * @param size rotated dimensions of a head
   */
  public static Rotary of(Keys keys, double base, int size, Rotary.Pairs pairs) {
    Keys parameters = keys.object("rope_parameters");
    if (parameters != null && parameters.number("partial_rotary_factor", 1) != 1) {
      throw parameters.bad("partial_rotary_factor", "not 1", "1: the whole head is rotated");
    }
    return read(keys, base, size, pairs);
  }

  /**
   * Positions that rotate the first part of a head.
   *
   * @param head its size
   * @param part the default of {@code partial_rotary_factor}
   */
  static Rotary ofPart(Keys keys, double base, int head, double part, Rotary.Pairs pairs) {
    Keys parameters = keys.object("rope_parameters");
    double of = keys.number("partial_rotary_factor", part);
    of = parameters == null ? of : parameters.number("partial_rotary_factor", of);
    int size = (int) (head * of);
    if (size < 2 || size > head) {
      throw keys.bad("partial_rotary_factor", "" + of, "a part of a head of " + head);
    }
    return read(keys, base, size, pairs);
  }

  /**
   * Positions of a kind of layers, where {@code rope_parameters} has an object for each
   * (transformers 5).
   *
   * @param kind such as {@code sliding_attention}
   * @param otherwise where it has not; its base is the default
   */
  static Rotary ofKind(Keys keys, String kind, Rotary otherwise) {
    Keys all = keys.object("rope_parameters");
    Keys own = all == null ? null : all.object(kind);
    return own == null
        ? otherwise
        : new Rotary(
            own.number("rope_theta", otherwise.base()),
            otherwise.size(),
            otherwise.pairs(),
            new RotaryKeys(keys, own).scaling());
  }

  private static Rotary read(Keys keys, double base, int size, Rotary.Pairs pairs) {
    double theta = keys.number("rope_theta", base);
    Keys scaling = keys.object("rope_scaling");
    Keys parameters = keys.object("rope_parameters");
    if (parameters != null) {
      theta = parameters.number("rope_theta", theta);
      scaling = parameters;
    }
    return new Rotary(theta, size, pairs, new RotaryKeys(keys, scaling).scaling());
  }

  /**
   * DeepSeek's factor of the scale of attention with stretched positions: the square of YaRN's
   * amplitude for {@code mscale_all_dim}.
   */
  static double attentionFactor(Keys keys) {
    Keys scaling = keys.object(keys.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
    if (scaling == null || type(scaling).equals("default")) {
      return 1;
    }
    double weight = scaling.number("mscale_all_dim", 0);
    if (weight == 0) {
      return 1;
    }
    double amplitude = RotaryScaling.Yarn.amplitude(scaling.number("factor", 1), weight);
    return amplitude * amplitude;
  }

  private RotaryScaling scaling() {
    if (scaling == null) {
      return null;
    }
    String type = type(scaling);
    return switch (type) {
      case "default" -> null;
      case "linear" -> new RotaryScaling.Linear(factor());
      case "longrope", "su" -> longRope(); // su: its name at first
      case "dynamic" -> new RotaryScaling.Dynamic(factor(), trained());
      case "yarn" -> yarn();
      case "proportional" -> proportional();
      case "llama3" ->
          new RotaryScaling.Llama3(
              factor(),
              scaling.number("low_freq_factor", 1),
              scaling.number("high_freq_factor", 4),
              trained());
      default ->
          throw scaling.bad(
              "rope_type",
              type,
              "one of default, linear, dynamic, yarn, llama3, longrope and proportional");
    };
  }

  private static String type(Keys scaling) {
    String older = scaling.text("type", "default"); // some configurations have both
    return scaling.text("rope_type", older);
  }

  private RotaryScaling yarn() {
    double factor = factor();
    double weight = scaling.number("mscale", 0);
    double allWeight = scaling.number("mscale_all_dim", 0);
    double amplitude =
        weight != 0 && allWeight != 0
            ? RotaryScaling.Yarn.amplitude(factor, weight)
                / RotaryScaling.Yarn.amplitude(factor, allWeight)
            : RotaryScaling.Yarn.amplitude(factor, 1);
    return new RotaryScaling.Yarn(
        factor,
        trained(),
        scaling.number("beta_fast", 32),
        scaling.number("beta_slow", 1),
        scaling.flag("truncate", true),
        scaling.number("attention_factor", amplitude));
  }

  private RotaryScaling longRope() {
    int trained =
        keys.count(
            "original_max_position_embeddings",
            scaling.count(
                "original_max_position_embeddings", keys.count("max_position_embeddings")));
    int context = keys.count("max_position_embeddings");
    double factor = scaling.number("factor", (double) context / trained);
    double usual = RotaryScaling.LongRope.amplitude(factor, trained);
    double near = scaling.number("short_mscale", usual); // of Phi-3.5-MoE, like the next
    double far = scaling.number("long_mscale", usual);
    if (near != far) { // a shorter context would need the other one
      throw scaling.bad("long_mscale", "" + far, "short_mscale, which is " + near);
    }
    return new RotaryScaling.LongRope(
        scaling.reals("short_factor"),
        scaling.reals("long_factor"),
        trained,
        scaling.number("attention_factor", near));
  }

  private RotaryScaling proportional() {
    if (scaling.number("factor", 1) != 1) {
      throw scaling.bad("factor", "" + scaling.number("factor", 1), "1 with proportional");
    }
    return new RotaryScaling.Proportional(scaling.number("partial_rotary_factor", 1));
  }

  private double factor() {
    if (!scaling.has("factor")) {
      throw scaling.bad("factor", "missing", "a number");
    }
    return scaling.number("factor", 1);
  }

  private int trained() {
    return scaling.count("original_max_position_embeddings", keys.count("max_position_embeddings"));
  }
}
