package panamoe.config;

import panamoe.io.Require;

/**
 * How weights start: normal with mean 0.
 *
 * @param deviation of all matrices but those that write into the residual stream
 * @param outputDeviation of those, smaller in deep models
 */
public record InitialWeights(double deviation, double outputDeviation) {
  public InitialWeights {
    Require.positiveFloat("deviation", deviation);
    Require.positiveFloat("outputDeviation", outputDeviation);
  }

  /**
   * GPT-2's: the sum of 2 * layers branches keeps the variance of the residual stream if each
   * branch writes with 1 / sqrt of their number.
   */
  public static InitialWeights of(double deviation, int layers) {
    return new InitialWeights(deviation, (float) ((float) deviation / Math.sqrt(2.0 * layers)));
  }
}
