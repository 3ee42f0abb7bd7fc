package panamoe.nn;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Angles of rotary positions (RoFormer, arXiv 2104.09864): {@code position * frequency(i)} for the
 * i-th pair.
 *
 * @param cosine FLOAT32 [P, D/2]
 * @param sine FLOAT32 [P, D/2]
 */
public record RotaryTable(Tensor cosine, Tensor sine) {

  /** Frequencies {@code base^(-2i/D)}. */
  public static RotaryTable of(TensorScope scope, int positions, int headSize, double base) {
    return of(scope, positions, headSize, base, RotaryScaling.NONE);
  }

  /** Frequencies stretched by {@code scaling}, as for a text of {@code positions} tokens. */
  public static RotaryTable of(
      TensorScope scope, int positions, int headSize, double base, RotaryScaling scaling) {
    double[] frequencies = scaling.frequencies(headSize, base, positions);
    int pairs = frequencies.length;
    Tensor cosine = scope.allocate(DType.FLOAT32, positions, pairs);
    Tensor sine = scope.allocate(DType.FLOAT32, positions, pairs);
    for (int position = 0; position < positions; position++) {
      for (int pair = 0; pair < pairs; pair++) {
        double angle = position * frequencies[pair];
        long index = (long) position * pairs + pair;
        cosine.setFloat(index, (float) (scaling.amplitude() * Math.cos(angle)));
        sine.setFloat(index, (float) (scaling.amplitude() * Math.sin(angle)));
      }
    }
    return new RotaryTable(cosine, sine);
  }
}
