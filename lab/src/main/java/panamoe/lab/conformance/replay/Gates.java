package panamoe.lab.conformance.replay;

import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.config.GateConfig;

/** Gate configurations that several peers share. */
public final class Gates {
  private Gates() {}

  /** Dropless top-k of softmax scores. */
  public static GateConfig softmax(int topK, Normalization normalization) {
    return dropless(topK, false, Score.SOFTMAX, GateConfig.RouteWeight.of(normalization));
  }

  /**
   * Dropless top-k with loss factors of 0; the auxiliary loss counts all choices.
   *
   * @param bias true if the router has a bias
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
   * A fixed capacity: an expert keeps the first {@code routes} of its queue. The minimum capacity
   * applies because the factors round to 0.
   */
  public static GateConfig.Capacity first(long routes, QueueOrder order) {
    return new GateConfig.Capacity(
        DropPolicy.POSITION, Double.MIN_VALUE, Double.MIN_VALUE, Math.toIntExact(routes), order);
  }
}
