package panamoe.backend.reference;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import panamoe.tensor.Tensor;

/** Decodes weights in blocks, and rounds the rows that are multiplied by them. */
final class Blocks {
  /** Elements of a row that share a scale. */
  private static final int ROUNDED = 32;

  private Blocks() {}

  /** Whether rows that are multiplied by these weights are rounded. */
  static boolean rounds(Tensor weights) {
    return weights.dtype().isBlocks() && weights.dtype().blocks().roundsRows() && !weights.exact();
  }

  /**
   * Rows as int8 codes times a scale for each 32 elements: the largest magnitude / 127, rounded up
   * to 22 bits. A row with a number that is not finite becomes NaN.
   *
   * @param rows of float32 values
   */
  static double[][] rounded(double[][] rows) {
    double[][] rounded = new double[rows.length][];
    for (int r = 0; r < rows.length; r++) {
      rounded[r] = new double[rows[r].length];
      boolean finite = true;
      for (int from = 0; from < rows[r].length; from += ROUNDED) {
        finite &= round(rows[r], from, rounded[r]);
      }
      if (!finite) {
        Arrays.fill(rounded[r], Double.NaN);
      }
    }
    return rounded;
  }

  private static boolean round(double[] row, int from, double[] into) {
    float most = 0;
    for (int i = from; i < from + ROUNDED; i++) {
      most = Math.max(most, (float) Math.abs(row[i]));
    }
    float scale = Float.intBitsToFloat(Float.floatToRawIntBits(most / 127) + 3 & ~3);
    float inverse = scale > 0 ? 1 / scale : 0;
    for (int i = from; i < from + ROUNDED; i++) {
      into[i] = (double) scale * Math.rint((float) row[i] * inverse);
    }
    return Float.isFinite(most);
  }

  /** All elements of a tensor in blocks, decoded to float32 like those of a file. */
  static double[] numbers(Tensor tensor) {
    float[] floats = new float[Math.toIntExact(tensor.count())];
    tensor.dtype().blocks().decode(tensor.data(), MemorySegment.ofArray(floats));
    double[] numbers = new double[floats.length];
    Arrays.setAll(numbers, i -> floats[i]);
    return numbers;
  }
}
