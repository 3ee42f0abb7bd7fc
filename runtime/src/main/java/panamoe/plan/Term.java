package panamoe.plan;

import java.util.Locale;

/** What a step's time is spent on. */
public enum Term implements StepTerm {
  LAYERS("layers", "launches and all else that each layer takes, however little it computes"),
  WEIGHTS("weights", "reading the weights that every token passes"),
  KEYS_AND_VALUES("cache", "reading the key/value cache"),
  EXPERTS("experts", "reading experts"),
  EXPERT_CALLS("calls", "each expert that a card computes, beside its bytes"),
  COMPUTE("compute", "FLOPs, where they take longer than the bytes beside them"),
  EXCHANGE("exchange", "rows to the experts' cards and back"),
  ALL_REDUCE("sums", "sums over tensor ranks");

  private final String heading;
  private final String meaning;

  Term(String heading, String meaning) {
    this.heading = heading;
    this.meaning = meaning;
  }

  @Override
  public String heading() {
    return heading;
  }

  @Override
  public String meaning() {
    return meaning;
  }

  /** As in JSON. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
