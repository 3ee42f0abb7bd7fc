package panamoe.plan;

import java.util.Locale;

/** What a step's time is spent on. */
public enum Term {
  LAYERS("launches and all else that each layer takes, however little it computes"),
  WEIGHTS("reading the weights that every token passes"),
  KEYS_AND_VALUES("reading the key/value cache"),
  EXPERTS("reading experts"),
  EXPERT_CALLS("each expert that a card computes, beside its bytes"),
  COMPUTE("FLOPs, where they take longer than the bytes beside them"),
  EXCHANGE("rows to the experts' cards and back"),
  ALL_REDUCE("sums over tensor ranks");

  private final String meaning;

  Term(String meaning) {
    this.meaning = meaning;
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
