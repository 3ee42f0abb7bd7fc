package panamoe.plan;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/** What a step's time is spent on. */
public enum Term {
  LAYERS("layers", "launches and all else that each layer takes, however little it computes"),
  WEIGHTS("weights", "reading the weights that every token passes"),
  KEYS_AND_VALUES("cache", "reading the key/value cache"),
  EXPERTS("experts", "reading experts"),
  EXPERT_CALLS("calls", "each expert that a device computes, beside its bytes"),
  COMPUTE("compute", "FLOPs, where they take longer than the bytes beside them"),
  FORWARD(
      "forward",
      "the forward: its FLOPs, or its weights' bytes where these take longer, and what layers take"
          + " beside where that was measured"),
  BACKWARD("backward", "the backward: twice the FLOPs of the forward"),
  RECOMPUTATION(
      "recompute", "layers that the backward computes again, as it kept their inputs alone"),
  IMBALANCE("imbalance", "waiting for the rank whose experts have most rows"),
  EXCHANGE("exchange", "rows to the experts' devices and back"),
  ALL_REDUCE("sums", "sums over tensor ranks"),
  GRADIENTS("gradients", "gradients and updated weights between the devices that hold the same ones"),
  OPTIMIZER("optimizer", "weights, gradients and moments that the optimizer reads and writes");

  /** Of a step that writes tokens. */
  public static final Set<Term> SERVING =
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

  /** Of a step of the optimizer. */
  public static final Set<Term> TRAINING =
      Collections.unmodifiableSet(EnumSet.range(FORWARD, OPTIMIZER));

  private final String heading;
  private final String meaning;

  Term(String heading, String meaning) {
    this.heading = heading;
    this.meaning = meaning;
  }

  /** In a word or two, over a column. */
  public String heading() {
    return heading;
  }

  /** In words, as a part of a sentence. */
  public String meaning() {
    return meaning;
  }

  /** As in JSON. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
