package panamoe.nn;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.concurrent.ForkJoinPool;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Angles of rotary positions (RoFormer, arXiv 2104.09864): {@code position * frequency(i)} for the
 * i-th pair.
 *
 * @param cosine FLOAT32 [P, R/2]
 * @param sine FLOAT32 [P, R/2]
 */
public record RotaryTable(Tensor cosine, Tensor sine) {

  /**
   * The angles of {@code positions} tokens; some scalings depend on that length.
   *
   * @param pool computes them: millions of sines were a third of the time in which a small model
   *     opened
   */
  public static RotaryTable of(TensorScope scope, int positions, Rotary rotary, ForkJoinPool pool) {
    RotaryScaling scaling = rotary.scalingOrNone();
    double[] frequencies = scaling.frequencies(rotary.size(), rotary.base(), positions);
    int pairs = frequencies.length;
    Tensor cosine = scope.allocate(DType.FLOAT32, positions, pairs);
    Tensor sine = scope.allocate(DType.FLOAT32, positions, pairs);
    HostView cosines = HostView.of(cosine);
    HostView sines = HostView.of(sine);
    IntConsumer fill =
        position -> {
          float[] ofCosines = new float[pairs]; // until this is compiled, far faster than memory
          float[] ofSines = new float[pairs];
          for (int pair = 0; pair < pairs; pair++) {
            double angle = position * frequencies[pair];
            ofCosines[pair] = (float) (scaling.amplitude() * Math.cos(angle));
            ofSines[pair] = (float) (scaling.amplitude() * Math.sin(angle));
          }
          put(ofCosines, cosines, position);
          put(ofSines, sines, position);
        };
    pool.submit(() -> IntStream.range(0, positions).parallel().forEach(fill)).join();
    cosines.write();
    sines.write();
    return new RotaryTable(cosine, sine);
  }

  /** Whole heads times the temperature of their position, which the angle 0 leaves unrotated. */
  static RotaryTable of(
      TensorScope scope, int positions, GroupedQueryConfig.Temperature temperature, int headSize) {
    int pairs = headSize / 2;
    Tensor cosine = scope.allocate(DType.FLOAT32, positions, pairs);
    HostView cosines = HostView.of(cosine);
    float[] row = new float[pairs];
    for (int position = 0; position < positions; position++) {
      Arrays.fill(row, (float) temperature.factor(position));
      put(row, cosines, position);
    }
    cosines.write();
    return new RotaryTable(cosine, scope.zeros(DType.FLOAT32, positions, pairs));
  }

  private static void put(float[] row, HostView table, long position) {
    long from = position * row.length * Float.BYTES;
    MemorySegment.copy(row, 0, table.memory(), ValueLayout.JAVA_FLOAT, from, row.length);
  }
}
