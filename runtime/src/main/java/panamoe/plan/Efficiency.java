package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.io.Omittable;

/**
 * How much of a card a system makes use of.
 *
 * @param engine what a step takes beside its layers; null if those include it
 * @param layer s that a layer takes beside all other terms
 * @param expert s that a card takes for each expert that it computes in a layer
 * @param bandwidth share of the memory's bandwidth
 * @param flops share of the peak
 * @param memory share of a card's memory that weights, caches and buffers may fill
 */
public record Efficiency(
    @Omittable Engine engine,
    Constant layer,
    Constant expert,
    Constant bandwidth,
    Constant flops,
    Constant memory) {
  static final Constant MEMORY =
      new Constant(
          0.9,
          "of the memory",
          Constant.Kind.ASSUMED,
          "the rest is for the driver's context, kernels' scratch memory and fragmentation");

  /**
   * What the engine does around a step of the model.
   *
   * @param step s
   * @param logit s for each logit that it draws a token from: one rank draws all of them
   */
  public record Engine(Constant step, Constant logit) {
    public Engine {
      if (step == null || logit == null) {
        throw new IllegalArgumentException("an engine needs step and logit");
      }
      Quantity.SECONDS.require("step", step);
      Quantity.SECONDS.require("logit", logit);
    }
  }

  public Efficiency {
    if (layer == null || expert == null || bandwidth == null || flops == null || memory == null) {
      throw new IllegalArgumentException(
          "an efficiency needs layer, expert, bandwidth, flops and memory");
    }
    Quantity.SECONDS.require("layer", layer);
    Quantity.SECONDS.require("expert", expert);
    Quantity.SHARE.require("bandwidth", bandwidth);
    Quantity.SHARE.require("flops", flops);
    Quantity.WHOLE_SHARE.require("memory", memory);
  }

  /** Of a system that was measured on a machine. */
  public static Efficiency measured(
      Engine engine, Constant layer, Constant expert, Constant bandwidth, Constant flops) {
    return new Efficiency(engine, layer, expert, bandwidth, flops, MEMORY);
  }

  /** With shares that no published time of decoding depends on. */
  static Efficiency of(Constant layer, Constant expert, Constant bandwidth) {
    return new Efficiency(
        null,
        layer,
        expert,
        bandwidth,
        new Constant(
            0.5,
            "of the peak",
            Constant.Kind.ASSUMED,
            "large products reach 0.4 to 0.7; a step with few tokens waits for memory instead"),
        MEMORY);
  }

  /** Of a system whose layers take another time. */
  Efficiency withLayer(Constant other) {
    return new Efficiency(engine, other, expert, bandwidth, flops, memory);
  }

  /** Every number above, by name. */
  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>();
    if (engine != null) {
      all.put("step", engine.step);
      all.put("logit", engine.logit);
    }
    all.put("layer", layer);
    all.put("expert", expert);
    all.put("bandwidth_share", bandwidth);
    all.put("flops_share", flops);
    all.put("memory_share", memory);
    return all;
  }
}
