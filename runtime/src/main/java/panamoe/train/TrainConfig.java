package panamoe.train;

import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/**
 * The settings of training. All of them affect the result; the number of threads or ranks does not
 * (except by rounding).
 *
 * @param steps optimizer steps
 * @param batch sequences per step, over all ranks and micro-batches
 * @param sequence tokens per sequence
 * @param microBatches number of parts that the batch is computed in, one after the other; divides
 *     batch
 * @param learningRate peak
 * @param finalLearningRate at the end of the cosine
 * @param warmupTokens tokens over which the rate rises linearly to its peak
 * @param weightDecay decoupled, on matrices only
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param epsilon of AdamW
 * @param clip largest global gradient norm
 * @param dtype dtype of activations and computed weights; masters and moments are FLOAT32
 * @param recompute whether the backward computes a layer's forward again instead of keeping its
 *     activations
 * @param evaluateEvery steps between validations; 0 for the last step only
 * @param checkpointEvery steps between checkpoints; 0 for the last step only
 * @param validationBatches batches per validation, fewer if the validation text is shorter
 * @param spike nats by which a step's loss may exceed the running mean before the run stops
 */
public record TrainConfig(
    int steps,
    int batch,
    int sequence,
    int microBatches,
    double learningRate,
    double finalLearningRate,
    long warmupTokens,
    double weightDecay,
    double beta1,
    double beta2,
    double epsilon,
    double clip,
    DType dtype,
    boolean recompute,
    int evaluateEvery,
    int checkpointEvery,
    int validationBatches,
    double spike) {

  public TrainConfig {
    require(steps >= 1, "steps", steps, "1 or more");
    require(batch >= 1, "batch", batch, "1 or more");
    require(sequence >= 1, "sequence", sequence, "1 or more");
    require(
        microBatches >= 1 && batch % microBatches == 0,
        "microBatches",
        microBatches,
        "a divisor of batch = " + batch);
    require(
        learningRate > 0 && learningRate < 10,
        "learningRate",
        learningRate,
        "more than 0 and less than 10");
    require(
        finalLearningRate >= 0 && finalLearningRate <= learningRate,
        "finalLearningRate",
        finalLearningRate,
        "0 to learningRate");
    require(warmupTokens >= 0, "warmupTokens", warmupTokens, "0 or more");
    new AdamW.Settings(beta1, beta2, epsilon, weightDecay, clip); // refuses wrong ones
    require(dtype != null && dtype.isFloating(), "dtype", dtype, "FLOAT32 or BFLOAT16");
    require(evaluateEvery >= 0, "evaluateEvery", evaluateEvery, "0 or more");
    require(checkpointEvery >= 0, "checkpointEvery", checkpointEvery, "0 or more");
    require(validationBatches >= 1, "validationBatches", validationBatches, "1 or more");
    require(spike > 0, "spike", spike, "more than 0");
  }

  /** Sensible settings for a small model on one machine. */
  public static TrainConfig of(int steps, int batch, int sequence) {
    return of(steps, batch, sequence, 2e-3, 2e-4, (long) steps * batch * sequence / 20, 0);
  }

  /** The same with other learning rates, and validation every {@code evaluateEvery} steps. */
  public static TrainConfig of(
      int steps,
      int batch,
      int sequence,
      double learningRate,
      double finalLearningRate,
      long warmupTokens,
      int evaluateEvery) {
    return new TrainConfig(
        steps,
        batch,
        sequence,
        1,
        learningRate,
        finalLearningRate,
        warmupTokens,
        0.1,
        0.9,
        0.95,
        1e-8,
        1.0,
        DType.FLOAT32,
        false,
        evaluateEvery,
        0,
        8,
        2.0);
  }

  public TrainConfig withSteps(int newSteps) {
    return with(newSteps, batch, sequence, microBatches, dtype, recompute, checkpointEvery);
  }

  public TrainConfig withDType(DType newDType) {
    return with(steps, batch, sequence, microBatches, newDType, recompute, checkpointEvery);
  }

  public TrainConfig withRecompute(boolean newRecompute) {
    return with(steps, batch, sequence, microBatches, dtype, newRecompute, checkpointEvery);
  }

  /**
   * @param newBatch sequences per step
   */
  public TrainConfig withBatch(int newBatch, int newMicroBatches) {
    return with(steps, newBatch, sequence, newMicroBatches, dtype, recompute, checkpointEvery);
  }

  public TrainConfig withSequence(int newSequence) {
    return with(steps, batch, newSequence, microBatches, dtype, recompute, checkpointEvery);
  }

  public TrainConfig withCheckpointEvery(int newCheckpointEvery) {
    return with(steps, batch, sequence, microBatches, dtype, recompute, newCheckpointEvery);
  }

  private TrainConfig with(
      int newSteps,
      int newBatch,
      int newSequence,
      int newMicroBatches,
      DType newDType,
      boolean newRecompute,
      int newCheckpointEvery) {
    return new TrainConfig(
        newSteps,
        newBatch,
        newSequence,
        newMicroBatches,
        learningRate,
        finalLearningRate,
        warmupTokens,
        weightDecay,
        beta1,
        beta2,
        epsilon,
        clip,
        newDType,
        newRecompute,
        evaluateEvery,
        newCheckpointEvery,
        validationBatches,
        spike);
  }

  /** A micro-batch as one rank computes it. */
  public Work work(Topology topology) {
    long sequences = Math.ceilDiv(batch / microBatches, topology.dataDegree());
    return new Work(true, recompute, sequences, 0, sequence, sequences * sequence, dtype, topology);
  }

  public long tokensPerStep() {
    return (long) batch * sequence;
  }

  /**
   * The learning rate of step {@code step} (from 0): linear warm-up, then a cosine to the final
   * rate.
   */
  public double learningRate(long step) {
    double tokens = (double) (step + 1) * tokensPerStep();
    if (tokens < warmupTokens) {
      return learningRate * tokens / warmupTokens;
    }
    double total = (double) steps * tokensPerStep();
    double progress = Math.min(1, (tokens - warmupTokens) / Math.max(1, total - warmupTokens));
    return finalLearningRate
        + (learningRate - finalLearningRate) * 0.5 * (1 + Math.cos(Math.PI * progress));
  }

  static void require(boolean holds, String name, Object given, String expected) {
    if (!holds) {
      throw new IllegalArgumentException(name + " is " + given + ", expected " + expected);
    }
  }

  /** What the optimizer does alike in every step. */
  AdamW.Settings adamW() {
    return new AdamW.Settings(beta1, beta2, epsilon, weightDecay, clip);
  }
}
