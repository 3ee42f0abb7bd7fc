package panamoe.plan;

import java.util.Locale;

/** What a training step's time is spent on. */
public enum TrainingTerm implements StepTerm {
  FORWARD(
      "forward",
      "the forward: its FLOPs, or its weights' bytes where these take longer, and what layers take"
          + " beside where that was measured"),
  BACKWARD("backward", "the backward: twice the FLOPs of the forward"),
  RECOMPUTATION(
      "recompute", "layers that the backward computes again, as it kept their inputs alone"),
  IMBALANCE("imbalance", "waiting for the rank whose experts have most rows"),
  EXCHANGE("exchange", "rows to the experts' cards and back, in the forward and the backward"),
  ALL_REDUCE("sums", "sums over tensor ranks"),
  GRADIENTS("gradients", "gradients and updated weights between the cards that hold the same ones"),
  OPTIMIZER("optimizer", "weights, gradients and moments that the optimizer reads and writes");

  private final String heading;
  private final String meaning;

  TrainingTerm(String heading, String meaning) {
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
