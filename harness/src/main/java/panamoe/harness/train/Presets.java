package panamoe.harness.train;

import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.config.MoeConfig;
import panamoe.io.Require;
import panamoe.tensor.DType;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/** The presets' training settings. */
public final class Presets {
  /** Vocabulary of the tokenizer that runs of size small or base train on their text. */
  public static final int VOCABULARY = 4096;

  /** More than any validation text has. */
  private static final int ALL_BATCHES = 1_000_000;

  private static final int BATCH = 8;
  private static final int DEMO_STEPS = 1600;
  private static final int BASE_STEPS = 2000;
  private static final int FURTHER_STEPS = 200;
  private static final int CHECKPOINT_EVERY = 200;

  private Presets() {}

  /**
   * Settings that replace a preset's; null keeps the preset's. A value out of range throws an
   * IllegalArgumentException that names the option.
   */
  record Chosen(
      Integer steps,
      Integer batch,
      Integer context,
      Double rate,
      Integer experts,
      Integer evaluateEvery,
      Integer patience) {
    Chosen {
      Require.that(steps == null || steps >= 1, "--steps is %s, expected 1 or more", steps);
      Require.that(batch == null || batch >= 1, "--batch is %s, expected 1 or more", batch);
      Require.that(context == null || context >= 1, "--context is %s, expected 1 or more", context);
      boolean some = experts == null || experts >= 1 && experts <= MoeConfig.MAX_EXPERTS;
      Require.that(some, "--experts is %s, expected 1 to %s", experts, MoeConfig.MAX_EXPERTS);
      boolean usable = rate == null || rate > 0 && rate < 10;
      Require.that(
          evaluateEvery == null || evaluateEvery >= 1,
          "--evaluate-every is %s, expected 1 or more",
          evaluateEvery);
      Require.that(
          patience == null || patience >= 1, "--patience is %s, expected 1 or more", patience);
      Require.that(usable, "--lr is %s, expected more than 0 and less than 10", rate);
    }

    /** The preset's settings with another number of steps. */
    static Chosen steps(Integer steps) {
      return new Chosen(steps, null, null, null, null, null, null);
    }

    private TrainConfig training(
        int presetSteps, int presetContext, double presetRate, int presetEvaluateEvery) {
      return settings(
          or(steps, presetSteps),
          or(batch, BATCH),
          or(context, presetContext),
          or(rate, presetRate),
          or(evaluateEvery, presetEvaluateEvery),
          patience);
    }
  }

  private static <T> T or(T chosen, T preset) {
    return chosen == null ? preset : chosen;
  }

  /**
   * @param vocabulary size of the tokenizer
   */
  static RunConfig run(
      Size size,
      Architecture architecture,
      Chosen chosen,
      DType dtype,
      boolean recompute,
      int vocabulary,
      long seed) {
    TrainConfig training =
        switch (size) {
          case TINY -> chosen.training(100, 64, 3e-3, 20);
          case DEMO -> quartered(chosen.training(DEMO_STEPS, 256, 4e-3, 0));
          case SMALL -> chosen.training(1300, 256, 2e-3, 100);
          case BASE -> chosen.training(BASE_STEPS, 256, 1e-3, 100);
        };
    return new RunConfig(
        ModelPresets.of(
            size,
            architecture,
            vocabulary,
            Math.max(training.batch().length(), size.context()),
            or(chosen.experts, size.experts())),
        training.withDType(dtype).withRecompute(recompute),
        seed);
  }

  /** The settings of the largest preset, for a model that was trained elsewhere. */
  public static TrainConfig training(int context) {
    return settings(BASE_STEPS, BATCH, Math.min(256, context), 1e-3, 100, null);
  }

  /**
   * Settings to train a released model further: small updates.
   *
   * @param adapters whether adapters are trained, which begin at zero and take larger ones
   */
  static TrainConfig further(Chosen chosen, int context, boolean adapters) {
    Require.that(
        chosen.context == null || chosen.context <= context,
        "--context is %s, expected 1 to %s, the model's context",
        chosen.context,
        context);
    return chosen.training(FURTHER_STEPS, Math.min(256, context), adapters ? 2e-4 : 2e-5, 100);
  }

  /**
   * For a run of minutes: the rate falls to 0, which costs the least text, and the run is saved and
   * validated on all of the validation text at each quarter.
   */
  private static TrainConfig quartered(TrainConfig usual) {
    TrainConfig.Schedule of = usual.schedule();
    int quarter = Math.ceilDiv(of.steps(), 4);
    return TrainConfig.of(
            new TrainConfig.Schedule(of.steps(), of.learningRate(), 0, of.warmupTokens()),
            usual.batch())
        .with(new TrainConfig.Checkpoints(quarter, quarter, ALL_BATCHES, 2.0));
  }

  private static TrainConfig settings(
      int steps, int batch, int sequence, double rate, int evaluateEvery, Integer patience) {
    long warmup = (long) Math.min(steps / 10, 100) * batch * sequence;
    return TrainConfig.of(
            new TrainConfig.Schedule(steps, rate, rate / 10, warmup),
            new TrainConfig.Batch(batch, sequence, 1))
        .with(TrainConfig.Checkpoints.of(evaluateEvery, CHECKPOINT_EVERY).withPatience(patience));
  }
}
