package panamoe.edit;

import java.util.Random;
import panamoe.io.Require;

/**
 * Normal noise for copies of an expert, which would otherwise get equal gradients and stay equal.
 *
 * @param fraction its standard deviation relative to the weights'; 0 to 1
 * @param seed determines the noise
 */
public record Noise(double fraction, long seed) {
  public Noise {
    Require.that(fraction >= 0 && fraction <= 1, "noise is %s, expected 0 to 1", fraction);
  }

  /**
   * Adds noise to the elements {@code from} to {@code to}.
   *
   * @param stream name of the tensor: each stream has its own noise
   * @param deviation of the weights
   */
  void add(float[] values, int from, int to, String stream, double deviation) {
    addNormal(values, from, to, stream, fraction * deviation);
  }

  /** New weights: normal numbers of this deviation, independent of the fraction. */
  float[] fresh(int count, String stream, double deviation) {
    float[] values = new float[count];
    addNormal(values, 0, count, stream, deviation);
    return values;
  }

  private void addNormal(float[] values, int from, int to, String stream, double deviation) {
    // Only Random's normal numbers are specified to the bit.
    Random random = new Random(seed * 0x9E3779B97F4A7C15L + stream.hashCode());
    for (int i = from; i < to; i++) {
      values[i] += (float) (deviation * random.nextGaussian());
    }
  }

  /** The standard deviation of some weights. */
  static double deviation(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += value;
    }
    double mean = sum / values.length;
    double squares = 0;
    for (float value : values) {
      squares += (value - mean) * (value - mean);
    }
    return Math.sqrt(squares / values.length);
  }
}
