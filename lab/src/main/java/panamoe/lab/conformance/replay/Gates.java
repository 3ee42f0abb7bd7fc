package panamoe.lab.conformance.replay;

import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.config.GateConfig;

/** Gates that several peers have. */
public final class Gates {
  private Gates() {}

  /** Every token to its k best of softmax scores, nothing dropped. */
  public static GateConfig softmax(int topK, Normalization normalization) {
    return dropless(topK, false, Score.SOFTMAX, GateConfig.RouteWeight.of(normalization));
  }

  /**
   * Every token to its k best, nothing dropped; factors of 0 in the objective, and the auxiliary
   * loss counts all choices.
   *
   * @param bias whether the router has one
   */
  public static GateConfig dropless(
      int topK, boolean bias, Score score, GateConfig.RouteWeight weight) {
    return new GateConfig(
        topK,
        bias,
        score,
        GateConfig.Choice.BEST,
        weight,
        GateConfig.Capacity.DROPLESS,
        new GateConfig.Loss(true, 0, 0));
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
