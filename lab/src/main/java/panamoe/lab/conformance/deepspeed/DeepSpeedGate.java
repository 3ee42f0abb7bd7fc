package panamoe.lab.conformance.deepspeed;

import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.config.GateConfig;
import panamoe.config.GateConfig.Noise;

/** The three gates of DeepSpeed's {@code sharded_moe.py}, as our configuration says them. */
enum DeepSpeedGate {
  TOP1(QueueOrder.TOKEN_MAJOR, Normalization.RAW, Noise.NONE, false),
  /** The second choice is by logits, which noise of zero makes ours too. */
  TOP2(QueueOrder.CHOICE_MAJOR, Normalization.SURVIVORS, Noise.GUMBEL_FROM_SECOND, false),
  TOP_K(QueueOrder.TOKEN_MAJOR, Normalization.SURVIVORS, Noise.NONE, true);

  private final QueueOrder order;
  private final Normalization normalization;
  private final Noise noise;
  private final boolean auxiliaryOverAllChoices;

  DeepSpeedGate(
      QueueOrder order, Normalization normalization, Noise noise, boolean auxiliaryOverAllChoices) {
    this.order = order;
    this.normalization = normalization;
    this.noise = noise;
    this.auxiliaryOverAllChoices = auxiliaryOverAllChoices;
  }

  /** The gate that the peer's layer takes. */
  static DeepSpeedGate of(int topK) {
    return switch (topK) {
      case 1 -> TOP1;
      case 2 -> TOP2;
      default -> TOP_K;
    };
  }

  /**
   * @param factor capacity factor of the recorded call, training or not
   */
  GateConfig config(
      int topK, DropPolicy policy, double factor, int minimumCapacity, double coefficient) {
    return new GateConfig(
        topK,
        false,
        Score.SOFTMAX,
        GateConfig.Choice.with(noise),
        GateConfig.RouteWeight.of(normalization),
        new GateConfig.Capacity(policy, factor, factor, minimumCapacity, order),
        new GateConfig.Loss(auxiliaryOverAllChoices, coefficient, 0));
  }
}
