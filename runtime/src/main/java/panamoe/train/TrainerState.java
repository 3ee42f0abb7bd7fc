package panamoe.train;

/**
 * @param step steps done
 * @param runningLoss mean that spikes are measured against; NaN before the first step
 */
record TrainerState(long step, double runningLoss) {}
