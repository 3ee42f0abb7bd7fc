package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How much of a card a system makes use of.
 *
 * @param layer s that a layer takes beside all other terms
 * @param expert s that a card takes for each expert that it computes in a layer
 * @param bandwidth share of the memory's bandwidth
 * @param flops share of the peak
 * @param memory share of a card's memory that weights, caches and buffers may fill
 */
public record Efficiency(
    Constant layer, Constant expert, Constant bandwidth, Constant flops, Constant memory) {

  /** With shares that no published time of decoding depends on. */
  static Efficiency of(Constant layer, Constant expert, Constant bandwidth) {
    return new Efficiency(
        layer,
        expert,
        bandwidth,
        new Constant(
            0.5,
            "of the peak",
            Constant.Kind.ASSUMED,
            "large products reach 0.4 to 0.7; a step with few tokens waits for memory instead"),
        new Constant(
            0.9,
            "of the memory",
            Constant.Kind.ASSUMED,
            "the rest is for the driver's context, kernels' scratch memory and fragmentation"));
  }

  /** Every number above, by name. */
  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>();
    all.put("layer", layer);
    all.put("expert", expert);
    all.put("bandwidth_share", bandwidth);
    all.put("flops_share", flops);
    all.put("memory_share", memory);
    return all;
  }
}
