package panamoe.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.io.Omittable;

/**
 * How much of a card a system makes use of in training.
 *
 * @param layers what layers take beside their products; null: nothing, which large micro-batches
 *     come near to
 * @param flops share of the peak
 * @param bandwidth share of the memory's bandwidth
 * @param memory share of a card's memory that weights, moments and activations may fill
 */
public record TrainingEfficiency(
    @Omittable Layers layers, Constant flops, Constant bandwidth, Constant memory) {
  /**
   * What the forward and the backward of a micro-batch take beside products and weights.
   *
   * @param layer s for each layer
   * @param activation s for each byte of activations that the forward keeps
   */
  public record Layers(Constant layer, Constant activation) {
    public Layers {
      if (layer == null || activation == null) {
        throw new IllegalArgumentException("layers need layer and activation");
      }
      Quantity.SECONDS.require("layer", layer);
      Quantity.SECONDS.require("activation", activation);
    }
  }

  public TrainingEfficiency {
    if (flops == null || bandwidth == null || memory == null) {
      throw new IllegalArgumentException(
          "an efficiency of training needs flops, bandwidth and memory");
    }
    Quantity.SHARE.require("flops", flops);
    Quantity.SHARE.require("bandwidth", bandwidth);
    Quantity.WHOLE_SHARE.require("memory", memory);
  }

  /** Of a system that was measured on a machine. */
  public static TrainingEfficiency measured(Layers layers, Constant flops, Constant bandwidth) {
    return new TrainingEfficiency(layers, flops, bandwidth, Efficiency.MEMORY);
  }

  /** Every number above, by name. */
  public Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>();
    if (layers != null) {
      all.put("layer", layers.layer);
      all.put("activation", layers.activation);
    }
    all.put("flops_share", flops);
    all.put("bandwidth_share", bandwidth);
    all.put("memory_share", memory);
    return all;
  }
}
