package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import panamoe.io.Omittable;
import panamoe.plan.Constant.Kind;

/**
 * How much of a device's peak a system reaches in serving or in training, and its overheads. A null
 * overhead counts as 0 s: another constant includes it, or large micro-batches hide it.
 *
 * @param step engine overhead of a step, s
 * @param logit sampling time per logit, s; one rank samples for all
 * @param layer overhead of a layer, s
 * @param expert overhead of each expert that a device computes in a layer, s
 * @param activation time per byte of activations that a training forward keeps, s
 * @param bandwidth reached share of the memory bandwidth
 * @param flops reached share of the peak FLOP/s
 * @param memory share of a device's memory that a plan may fill
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

  /** Takes the names of {@link #constants}. Without a share of the memory, a default is assumed. */
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

  /** A copy with one constant replaced. */
  Efficiency with(String name, Constant other) {
    Map<String, Constant> all = constants();
    all.put(name, other);
    return of(all);
  }

  /** Seconds of a constant; 0 of null. */
  static double seconds(Constant constant) {
    return constant == null ? 0 : constant.value();
  }

  /** All constants that are not null, by name. */
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
