package panamoe.harness.train;

import panamoe.config.ModelPresets;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.tensor.DType;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;

/** The training settings of the presets. */
public final class Presets {
  /** Tokens of the tokenizer that runs of the sizes from small on train on their text. */
  static final int VOCABULARY = 4096;

  private Presets() {}

  /**
   * @param steps null for the preset's value
   * @param vocabulary size of the tokenizer
   */
  static RunConfig run(
      Size size,
      Architecture architecture,
      Integer steps,
      DType dtype,
      boolean recompute,
      int vocabulary,
      long seed) {
    int wanted = steps != null ? steps : defaultSteps(size);
    if (wanted < 1) {
      throw new IllegalArgumentException("--steps is " + wanted + ", expected 1 or more");
    }
    TrainConfig training =
        switch (size) {
          case TINY -> settings(wanted, 8, 64, 3e-3, 20, 200);
          case SMALL -> settings(wanted, 8, 256, 2e-3, 100, 200);
          case BASE -> settings(wanted, 8, 256, 1e-3, 100, 200);
        };
    return new RunConfig(
        ModelPresets.of(size, architecture, vocabulary),
        training.withDType(dtype).withRecompute(recompute),
        seed);
  }

  /** The settings of the largest preset, for a model that was trained elsewhere. */
  public static TrainConfig training(int context) {
    return settings(defaultSteps(Size.BASE), 8, Math.min(256, context), 1e-3, 100, 200);
  }

  /** Settings to train a released model further: its weights are moved little. */
  static TrainConfig further(int steps, int context) {
    return settings(steps, 8, Math.min(256, context), 2e-5, 100, 200);
  }

  private static int defaultSteps(Size size) {
    return switch (size) {
      case TINY -> 100;
      case SMALL -> 1300;
      case BASE -> 2000;
    };
  }

  private static TrainConfig settings(
      int steps, int batch, int sequence, double rate, int evaluateEvery, int checkpointEvery) {
    long warmup = (long) Math.min(steps / 10, 100) * batch * sequence;
    return new TrainConfig(
        steps,
        batch,
        sequence,
        1,
        rate,
        rate / 10,
        warmup,
        0.1,
        0.9,
        0.95,
        1e-8,
        1.0,
        DType.FLOAT32,
        false,
        evaluateEvery,
        checkpointEvery,
        8,
        2.0);
  }
}
