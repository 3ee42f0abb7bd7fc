package panamoe.spark;

import java.io.Serializable;

/**
 * How a training ended.
 *
 * @param folder of the run
 * @param steps done in all
 * @param bitsPerByte of the validation text after the last step; NaN if it was stopped before
 * @param stopped whether it was stopped by {@link MoeTraining#stop}; a start in the same folder
 *     continues it
 */
public record TrainingOutcome(String folder, long steps, double bitsPerByte, boolean stopped)
    implements Serializable {}
