package panamoe.lab.conformance.replay;

import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.config.GateConfig;

/** Gates that several peers have. */
public final class Gates {
  /** Factors of 0 in the objective; the auxiliary loss counts all choices. */
  public static final GateConfig.Loss NO_LOSS = new GateConfig.Loss(true, 0, 0);

  private Gates() {}

  /** Every token to its k best of softmax scores, nothing dropped. */
  public static GateConfig softmax(int topK, Normalization normalization) {
    return dropless(topK, Score.SOFTMAX, GateConfig.RouteWeight.of(normalization));
  }

  /** Every token to its k best, nothing dropped. */
  public static GateConfig dropless(int topK, Score score, GateConfig.RouteWeight weight) {
    return new GateConfig(
        topK, false, score, GateConfig.Choice.BEST, weight, GateConfig.Capacity.DROPLESS, NO_LOSS);
  }

  /**
   * A capacity given as a number: an expert keeps the first {@code routes} of its queue. They are
   * the minimum, since the factors round to 0.
   */
  public static GateConfig.Capacity first(long routes, QueueOrder order) {
    return new GateConfig.Capacity(
        DropPolicy.POSITION, Double.MIN_VALUE, Double.MIN_VALUE, Math.toIntExact(routes), order);
  }
}
