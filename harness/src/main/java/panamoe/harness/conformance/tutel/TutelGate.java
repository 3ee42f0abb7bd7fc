package panamoe.harness.conformance.tutel;

import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.config.GateConfig;
import panamoe.harness.conformance.replay.Gates;
import panamoe.harness.conformance.replay.GoldenFile;

/**
 * Tutel's gate: weights are normalised before dropping, second choices queue behind all first ones,
 * and the loss counts first choices alone.
 *
 * @param dropless the gate without a capacity
 */
record TutelGate(GateConfig dropless) {
  /** The gate of a recorded case, with the factor of its loss in the objective. */
  static TutelGate of(GoldenFile golden, double auxiliary) {
    int topK = golden.hyper("k").asInt();
    boolean normalized = golden.hyper("norm").asBoolean() && topK > 1;
    return new TutelGate(
        Gates.softmax(topK, normalized ? Normalization.CHOSEN : Normalization.RAW)
            .withLoss(new GateConfig.Loss(false, auxiliary, 0)));
  }

  /** The same gate, where an expert keeps so many routes. */
  GateConfig limited(long capacity) {
    return dropless.withCapacity(Gates.first(capacity, QueueOrder.CHOICE_MAJOR));
  }
}
