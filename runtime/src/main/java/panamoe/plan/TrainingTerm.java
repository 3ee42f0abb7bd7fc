package panamoe.plan;

import java.util.Locale;

/** What a training step's time is spent on. */
public enum TrainingTerm {
  FORWARD("the forward: its FLOPs, or its weights' bytes where these take longer"),
  BACKWARD("the backward: twice the FLOPs of the forward"),
  RECOMPUTATION("layers that the backward computes again, as it kept their inputs alone"),
  IMBALANCE("waiting for the rank whose experts have most rows"),
  EXCHANGE("rows to the experts' cards and back, in the forward and the backward"),
  ALL_REDUCE("sums over tensor ranks"),
  GRADIENTS("gradients and updated weights between the cards that hold the same ones"),
  OPTIMIZER("weights, gradients and moments that the optimizer reads and writes");

  private final String meaning;

  TrainingTerm(String meaning) {
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
