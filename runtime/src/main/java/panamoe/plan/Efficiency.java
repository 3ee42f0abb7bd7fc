package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import panamoe.io.Omittable;
import panamoe.plan.Constant.Kind;

/**
 * How much of a device a system makes use of, in serving or in training. Of seconds, null counts as
 * nothing: others include it, or large micro-batches hide it.
 *
 * @param step s that the engine takes beside a step of the model
 * @param logit s for each logit that the engine draws a token from: one rank draws all of them
 * @param layer s that a layer takes beside all other terms
 * @param expert s that a device takes for each expert that it computes in a layer
 * @param activation s for each byte of activations that a forward of training keeps
 * @param bandwidth share of the memory's bandwidth
 * @param flops share of the peak
 * @param memory share of a device's memory that weights and all else may fill
 */
public record Efficiency(
    @Omittable Constant step,
    @Omittable Constant logit,
    @Omittable Constant layer,
    @Omittable Constant expert,
    @Omittable Constant activation,
    Constant bandwidth,
    Constant flops,
    Constant memory) {
  private static final Constant MEMORY =
      Kind.ASSUMED.of(
          0.9,
          "of the memory",
          "the rest is for the driver's context, kernels' scratch memory and fragmentation");

  public Efficiency {
    requireSeconds("step", step);
    requireSeconds("logit", logit);
    requireSeconds("layer", layer);
    requireSeconds("expert", expert);
    requireSeconds("activation", activation);
    Quantity.SHARE.require("bandwidth", bandwidth);
    Quantity.SHARE.require("flops", flops);
    Quantity.WHOLE_SHARE.require("memory", memory);
  }

  private static void requireSeconds(String name, Constant constant) {
    if (constant != null) {
      Quantity.SECONDS.require(name, constant);
    }
  }

  /** By the names of {@link #constants}; the share of the memory is assumed if it is not there. */
  public static Efficiency of(Map<String, Constant> constants) {
    return new Efficiency(
        constants.get("step"),
        constants.get("logit"),
        constants.get("layer"),
        constants.get("expert"),
        constants.get("activation"),
        constants.get("bandwidth_share"),
        constants.get("flops_share"),
        constants.getOrDefault("memory_share", MEMORY));
  }

  /** The same with another constant of this name. */
  Efficiency with(String name, Constant other) {
    Map<String, Constant> all = constants();
    all.put(name, other);
    return of(all);
  }

  /** Seconds of a constant; 0 of null. */
  static double seconds(Constant constant) {
    return constant == null ? 0 : constant.value();
  }

  /** Every number above that is there, by name. */
  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>();
    all.put("step", step);
    all.put("logit", logit);
    all.put("layer", layer);
    all.put("expert", expert);
    all.put("activation", activation);
    all.put("bandwidth_share", bandwidth);
    all.put("flops_share", flops);
    all.put("memory_share", memory);
    all.values().removeIf(Objects::isNull);
    return all;
  }
}
