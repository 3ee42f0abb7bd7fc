package panamoe.nn;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Angles of rotary positions (RoFormer, arXiv 2104.09864): {@code position * base^(-2i/D)} for the i-th pair.
 *
 * @param cosine FLOAT32 [P, D/2]
 * @param sine FLOAT32 [P, D/2]
 */
public record RotaryTable(Tensor cosine, Tensor sine) {

  public static RotaryTable of(TensorScope scope, int positions, int headSize, double base) {
    int pairs = headSize / 2;
    Tensor cosine = scope.allocate(DType.FLOAT32, positions, pairs);
    Tensor sine = scope.allocate(DType.FLOAT32, positions, pairs);
    for (int pair = 0; pair < pairs; pair++) {
      double frequency = Math.pow(base, -2.0 * pair / headSize);
      for (int position = 0; position < positions; position++) {
        long index = (long) position * pairs + pair;
        cosine.setFloat(index, (float) Math.cos(position * frequency));
        sine.setFloat(index, (float) Math.sin(position * frequency));
      }
    }
    return new RotaryTable(cosine, sine);
  }
}
