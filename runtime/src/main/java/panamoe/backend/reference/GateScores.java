package panamoe.backend.reference;

import java.util.Arrays;
import panamoe.backend.GateSettings.Score;

/** The gate's scores: each is a function of a token's logits, with its derivative. */
final class GateScores {
  private GateScores() {}

  /** The scores of a token's logits. */
  static double[] of(Score score, double[] logits) {
    return switch (score) {
      case SOFTMAX -> Vectors.softmax(logits);
      case SIGMOID -> Arrays.stream(logits).map(Vectors::sigmoid).toArray();
    };
  }

  /** {@code d ln(value) / d logit}; for a share, without the derivative of the sum. */
  static double logSlope(Score score, double value) {
    return switch (score) {
      case SOFTMAX -> 1;
      case SIGMOID -> 1 - value;
    };
  }
}
