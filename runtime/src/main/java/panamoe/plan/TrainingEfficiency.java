package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How much of a card a system makes use of in training.
 *
 * @param flops share of the peak
 * @param bandwidth share of the memory's bandwidth
 * @param memory share of a card's memory that weights, moments and activations may fill
 */
public record TrainingEfficiency(Constant flops, Constant bandwidth, Constant memory) {
  /** Every number above, by name. */
  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>();
    all.put("flops_share", flops);
    all.put("bandwidth_share", bandwidth);
    all.put("memory_share", memory);
    return all;
  }
}
