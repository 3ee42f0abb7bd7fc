package panamoe.peers;

import java.util.SplittableRandom;
import panamoe.lab.bench.LayerShape;

/**
 * Normally distributed float32 weights of a dropless layer without biases: tokens spread over the
 * experts and values stay in range. They are generated expert by expert, because all together take
 * gigabytes. Every call returns the same values.
 */
record LayerWeights(LayerShape shape, long seed) {
  /** [E, M]. */
  float[] router() {
    return normal(0, shape.experts(), shape.hidden());
  }

  /** [F, M], row after row; SwiGLU: [2F, M], the matrix under the sigmoid first. */
  float[] up(int expert) {
    int outputs = shape.expertHidden() * shape.activation().inputsPerOutput();
    return normal(1 + 2L * expert, outputs, shape.hidden());
  }

  /** [M, F]. */
  float[] down(int expert) {
    return normal(2 + 2L * expert, shape.hidden(), shape.expertHidden());
  }

  /** A matrix [outputs, inputs] that preserves the variance of its input. */
  private float[] normal(long number, int outputs, int inputs) {
    SplittableRandom random = new SplittableRandom(seed * (1 + 2L * shape.experts()) + number);
    float[] values = new float[outputs * inputs];
    double deviation = 1 / Math.sqrt(inputs);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * deviation);
    }
    return values;
  }
}
