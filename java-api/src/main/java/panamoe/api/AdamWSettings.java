package panamoe.api;

import panamoe.api.internal.Failures;

/**
 * The settings of {@link AdamW} that stay the same for all steps. Their ranges also hold after
 * rounding to FLOAT32.
 *
 * @param beta1 decay of the mean of gradients, 0 to less than 1
 * @param beta2 decay of the mean of squared gradients, 0 to less than 1
 * @param epsilon added to the root of the mean square, more than 0 and less than 1
 * @param weightDecay decoupled, for matrices only, 0 to less than 10
 * @param clip the global norm to which larger gradients are scaled down, more than 0; infinite for
 *     none
 */
public record AdamWSettings(
    double beta1, double beta2, double epsilon, double weightDecay, double clip) {
  static {
    RequiredJava.check();
  }

  /** The settings of {@code panamoe train}. */
  public static final AdamWSettings USUAL = new AdamWSettings(0.9, 0.95, 1e-8, 0.1, 1);

  /**
   * Checks the values.
   *
   * @throws PanamoeException.BadArgument if one is out of range
   */
  public AdamWSettings {
    Failures.run(() -> new panamoe.train.AdamW.Settings(beta1, beta2, epsilon, weightDecay, clip));
  }

  /** These settings with another weight decay. */
  public AdamWSettings withWeightDecay(double value) {
    return new AdamWSettings(beta1, beta2, epsilon, value, clip);
  }

  /** These settings with another clipping norm. */
  public AdamWSettings withClip(double value) {
    return new AdamWSettings(beta1, beta2, epsilon, weightDecay, value);
  }

  panamoe.train.AdamW.Settings toSettings() {
    return new panamoe.train.AdamW.Settings(beta1, beta2, epsilon, weightDecay, clip);
  }
}
