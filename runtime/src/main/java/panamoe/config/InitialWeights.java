package panamoe.config;

import panamoe.io.Require;

/**
 * Initial weights: normal with mean 0.
 *
 * @param deviation standard deviation of matrices, except of those that add to the residual stream
 * @param outputDeviation of matrices that add to the residual stream, smaller in deep models
 */
public record InitialWeights(double deviation, double outputDeviation) {
  public InitialWeights {
    Require.positiveFloat("deviation", deviation);
    Require.positiveFloat("outputDeviation", outputDeviation);
  }

  /**
   * GPT-2's: factor 1 / sqrt(2 * layers) for the 2 * layers branches keeps the variance of the
   * residual stream.
   */
  public static InitialWeights of(double deviation, int layers) {
    return new InitialWeights(deviation, (float) ((float) deviation / Math.sqrt(2.0 * layers)));
  }
}
