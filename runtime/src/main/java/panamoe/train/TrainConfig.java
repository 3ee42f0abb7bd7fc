package panamoe.train;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.nn.Work;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;

/**
 * The settings of training. All of them affect the result; the number of threads or ranks does not
 * (except by rounding). In JSON they are the keys of one object: {@code training.steps}.
 *
 * @param dtype dtype of activations and computed weights; masters and moments are FLOAT32
 * @param recompute whether the backward computes a layer's forward again instead of keeping its
 *     activations
 */
public record TrainConfig(
    Schedule schedule,
    Batch batch,
    AdamW.Settings adamW,
    DType dtype,
    boolean recompute,
    Checkpoints checkpoints) {

  /**
   * Linear warm-up of the learning rate, then a cosine.
   *
   * @param steps optimizer steps
   * @param learningRate peak
   * @param finalLearningRate at the end of the cosine
   * @param warmupTokens tokens over which the rate rises linearly to its peak
   */
  public record Schedule(
      int steps, double learningRate, double finalLearningRate, long warmupTokens) {
    public Schedule {
      positive("steps", steps);
      Require.that(
          learningRate > 0 && learningRate < 10,
          "learningRate is %s, expected more than 0 and less than 10",
          learningRate);
      Require.that(
          finalLearningRate >= 0 && finalLearningRate <= learningRate,
          "finalLearningRate is %s, expected 0 to learningRate",
          finalLearningRate);
      Require.notNegative("warmupTokens", warmupTokens);
    }
  }

  /**
   * @param sequences per step, over all ranks and micro-batches
   * @param length tokens per sequence
   * @param microBatches number of parts that the batch is computed in, one after the other; divides
   *     sequences
   */
  public record Batch(int sequences, int length, int microBatches) {
    public Batch {
      positive("batch", sequences);
      positive("sequence", length);
      Require.that(
          microBatches >= 1 && sequences % microBatches == 0,
          "microBatches is %s, expected a divisor of batch = %s",
          microBatches,
          sequences);
    }

    /** Sequences of a micro-batch, over all ranks. */
    public int microSequences() {
      return sequences / microBatches;
    }

    public long tokens() {
      return (long) sequences * length;
    }
  }

  /**
   * When a run is validated and saved, and when it stops by itself.
   *
   * @param evaluateEvery steps between validations; 0 for the last step only
   * @param every steps between checkpoints; 0 for the last step only
   * @param validationBatches batches per validation, fewer if the validation text is shorter
   * @param spike nats by which a step's loss may exceed the running mean before the run stops
   * @param patience validations in a row without a better one after which the run ends; null: it
   *     does not, and its best checkpoint is not kept
   */
  public record Checkpoints(
      int evaluateEvery,
      int every,
      int validationBatches,
      double spike,
      @Omittable Integer patience) {
    public Checkpoints {
      Require.notNegative("evaluateEvery", evaluateEvery);
      Require.notNegative("checkpointEvery", every);
      positive("validationBatches", validationBatches);
      Require.that(spike > 0, "spike is %s, expected more than 0", spike);
      Require.that(
          patience == null || patience >= 1, "patience is %s, expected 1 or more", patience);
      Require.that(
          patience == null || evaluateEvery > 0,
          "patience counts validations, but evaluateEvery is 0: expected 1 or more steps");
    }

    /** Without patience. */
    public Checkpoints(int evaluateEvery, int every, int validationBatches, double spike) {
      this(evaluateEvery, every, validationBatches, spike, null);
    }

    /** Eight batches per validation, and a stop at a spike of 2 nats. */
    public static Checkpoints of(int evaluateEvery, int every) {
      return new Checkpoints(evaluateEvery, every, 8, 2.0);
    }

    /** Ended by validations; null: not. */
    public Checkpoints withPatience(Integer validations) {
      return new Checkpoints(evaluateEvery, every, validationBatches, spike, validations);
    }

    public Checkpoints withEvery(int steps) {
      return new Checkpoints(evaluateEvery, steps, validationBatches, spike, patience);
    }
  }

  public TrainConfig {
    Require.present("schedule", schedule);
    Require.present("batch", batch);
    Require.present("adamW", adamW);
    boolean trains = dtype != null && dtype.isFloating();
    Require.that(trains, "dtype is %s, expected FLOAT32 or BFLOAT16", dtype);
    Require.present("checkpoints", checkpoints);
  }

  /** Settings for a small model on one machine. */
  public static TrainConfig of(int steps, int batch, int sequence) {
    return of(
        new Schedule(steps, 2e-3, 2e-4, (long) steps * batch * sequence / 20),
        new Batch(batch, sequence, 1));
  }

  /** In FLOAT32, with the usual AdamW; validated and saved after the last step. */
  public static TrainConfig of(Schedule schedule, Batch batch) {
    return new TrainConfig(
        schedule, batch, AdamW.Settings.USUAL, DType.FLOAT32, false, Checkpoints.of(0, 0));
  }

  public TrainConfig withSteps(int steps) {
    Schedule other =
        new Schedule(
            steps, schedule.learningRate, schedule.finalLearningRate, schedule.warmupTokens);
    return new TrainConfig(other, batch, adamW, dtype, recompute, checkpoints);
  }

  public TrainConfig with(Batch other) {
    return new TrainConfig(schedule, other, adamW, dtype, recompute, checkpoints);
  }

  public TrainConfig withDType(DType other) {
    return new TrainConfig(schedule, batch, adamW, other, recompute, checkpoints);
  }

  public TrainConfig withRecompute(boolean other) {
    return new TrainConfig(schedule, batch, adamW, dtype, other, checkpoints);
  }

  public TrainConfig with(Checkpoints other) {
    return new TrainConfig(schedule, batch, adamW, dtype, recompute, other);
  }

  /** A micro-batch as one rank computes it. */
  public Work work(Topology topology) {
    long sequences = Math.ceilDiv(batch.microSequences(), topology.dataDegree());
    long tokens = sequences * batch.length;
    return new Work(true, recompute, sequences, 0, batch.length, tokens, dtype, topology);
  }

  /** The learning rate of step {@code step} (from 0). */
  public double learningRate(long step) {
    double peak = schedule.learningRate;
    double last = schedule.finalLearningRate;
    double warmup = schedule.warmupTokens;
    double tokens = (double) (step + 1) * batch.tokens();
    if (tokens < warmup) {
      return peak * tokens / warmup;
    }
    double total = (double) schedule.steps * batch.tokens();
    double progress = Math.min(1, (tokens - warmup) / Math.max(1, total - warmup));
    return last + (peak - last) * 0.5 * (1 + Math.cos(Math.PI * progress));
  }

  private static void positive(String name, int value) {
    Require.that(value >= 1, "%s is %s, expected 1 or more", name, value);
  }

  /** The settings in JSON. */
  record Json(
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
      double spike,
      @Omittable Integer patience) {}

  @JsonValue
  Json json() {
    return new Json(
        schedule.steps,
        batch.sequences,
        batch.length,
        batch.microBatches,
        schedule.learningRate,
        schedule.finalLearningRate,
        schedule.warmupTokens,
        adamW.weightDecay(),
        adamW.beta1(),
        adamW.beta2(),
        adamW.epsilon(),
        adamW.clip(),
        dtype,
        recompute,
        checkpoints.evaluateEvery,
        checkpoints.every,
        checkpoints.validationBatches,
        checkpoints.spike,
        checkpoints.patience);
  }

  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  static TrainConfig of(Json of) {
    return new TrainConfig(
        new Schedule(of.steps, of.learningRate, of.finalLearningRate, of.warmupTokens),
        new Batch(of.batch, of.sequence, of.microBatches),
        new AdamW.Settings(of.beta1, of.beta2, of.epsilon, of.weightDecay, of.clip),
        of.dtype,
        of.recompute,
        new Checkpoints(
            of.evaluateEvery, of.checkpointEvery, of.validationBatches, of.spike, of.patience));
  }
}
