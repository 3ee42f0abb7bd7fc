package panamoe.plan;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/** A term of the cost model: where a step's time goes. */
public enum CostTerm {
  LAYERS("layers", "kernel launches and other fixed overhead of each layer"),
  WEIGHTS("weights", "reading the weights that every token uses"),
  KEYS_AND_VALUES("cache", "reading the key/value cache"),
  EXPERTS("experts", "reading experts"),
  EXPERT_CALLS("calls", "fixed overhead of each expert that a device computes"),
  COMPUTE("compute", "FLOPs beyond the time to read the bytes"),
  FORWARD(
      "forward",
      "the forward pass: the longer of its FLOPs and of reading its weights, and the overhead of layers if measured"),
  BACKWARD("backward", "the backward pass: twice the FLOPs of the forward"),
  RECOMPUTATION(
      "recompute", "layers that the backward computes again because only their inputs were kept"),
  IMBALANCE("imbalance", "waiting for the rank whose experts have the most rows"),
  EXCHANGE("exchange", "rows to the experts' devices and back"),
  ALL_REDUCE("sums", "all-reduces over tensor ranks"),
  GRADIENTS("gradients", "gradients and updated weights between replicas"),
  OPTIMIZER("optimizer", "weights, gradients and moments that the optimizer reads and writes");

  /** Terms of a prefill or decode step. */
  public static final Set<CostTerm> SERVING =
      Collections.unmodifiableSet(
          EnumSet.of(
              LAYERS,
              WEIGHTS,
              KEYS_AND_VALUES,
              EXPERTS,
              EXPERT_CALLS,
              COMPUTE,
              EXCHANGE,
              ALL_REDUCE));

  /** Terms of an optimizer step. */
  public static final Set<CostTerm> TRAINING =
      Collections.unmodifiableSet(EnumSet.range(FORWARD, OPTIMIZER));

  private final String heading;
  private final String meaning;

  CostTerm(String heading, String meaning) {
    this.heading = heading;
    this.meaning = meaning;
  }

  /** Column heading of one or two words. */
  public String heading() {
    return heading;
  }

  /** Description as a part of a sentence. */
  public String meaning() {
    return meaning;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
