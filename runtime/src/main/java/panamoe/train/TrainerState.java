package panamoe.train;

/**
 * @param step number of steps done
 * @param runningLoss running mean that detects spikes; NaN before the first step
 * @param best null without {@code patience}, or before the first validation
 */
record TrainerState(long step, double runningLoss, Best best) {
  /** Whether training has ended: by its steps, or by its patience. */
  boolean finishes(TrainConfig training) {
    Integer patience = training.checkpoints().patience();
    return step >= training.schedule().steps()
        || patience != null && best != null && best.worse() >= patience;
  }
}
