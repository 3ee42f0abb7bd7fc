package panamoe.api;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * The reference of {@link TrainableModel#prefer}: direct preference optimisation (arXiv
 * 2305.18290). The loss of a pair of answers is {@code -log sigmoid(z)} with the margin {@code z =
 * beta ((log p(chosen) - log q(chosen)) - (log p(rejected) - log q(rejected)))}, of the model p and
 * the reference q.
 *
 * @param beta how strongly the model is held to its reference, more than 0; usually 0.1
 * @param logProbabilities log q of each sequence's counted targets, [batch], in nats: from {@link
 *     TrainableModel#logProbabilities} of the model before training, or of another model
 */
public record Preference(double beta, double[] logProbabilities) {
  static {
    RequiredJava.check();
  }

  /**
   * Checks the values, which are not copied.
   *
   * @throws PanamoeException.BadArgument if one is null or not finite, or beta is not more than 0
   */
  public Preference {
    Failures.run(
        () -> {
          Argument.notNull("logProbabilities", logProbabilities);
          Argument.require(
              (float) beta > 0 && Float.isFinite((float) beta),
              "beta",
              beta,
              "a FLOAT32, more than 0");
          for (double each : logProbabilities) {
            Argument.require(Double.isFinite(each), "a log-probability", each, "a finite number");
          }
        });
  }
}
