package panamoe.peers;

import java.util.SplittableRandom;
import panamoe.lab.bench.LayerShape;

/**
 * Float32 weights of a dropless layer without biases. They are read expert by expert, because all
 * together take gigabytes.
 */
interface LayerWeights {
  /** [E, M]. */
  float[] router();

  /** [F, M], row after row; SwiGLU: [2F, M], the matrix under the sigmoid first. */
  float[] up(int expert);

  /** [M, F]. */
  float[] down(int expert);

  /**
   * Normally distributed weights, so that tokens spread over the experts and values stay in range.
   * Every call returns the same values.
   */
  static LayerWeights random(LayerShape shape, long seed) {
    int inner = shape.expertHidden();
    int upOutputs = inner * shape.activation().inputsPerOutput();
    long first = seed * (1 + 2L * shape.experts());
    return new LayerWeights() {
      @Override
      public float[] router() {
        return normal(first, shape.experts(), shape.hidden());
      }

      @Override
      public float[] up(int expert) {
        return normal(first + 1 + 2L * expert, upOutputs, shape.hidden());
      }

      @Override
      public float[] down(int expert) {
        return normal(first + 2 + 2L * expert, shape.hidden(), inner);
      }
    };
  }

  /** A matrix [outputs, inputs] that preserves the variance of its input. */
  private static float[] normal(long seed, int outputs, int inputs) {
    SplittableRandom random = new SplittableRandom(seed);
    float[] values = new float[outputs * inputs];
    double deviation = 1 / Math.sqrt(inputs);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * deviation);
    }
    return values;
  }
}
