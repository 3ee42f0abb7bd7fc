package panamoe.train;

/**
 * @param step number of steps done
 * @param runningLoss running mean that detects spikes; NaN before the first step
 */
record TrainerState(long step, double runningLoss) {}
