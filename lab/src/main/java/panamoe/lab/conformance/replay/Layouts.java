package panamoe.lab.conformance.replay;

/** The same numbers in another order: peers store their weights in many layouts. */
public final class Layouts {
  private Layouts() {}

  /** [K, S] to [S, K]. */
  public static long[] transposed(long[] values, int rows, int columns) {
    long[] result = new long[values.length];
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < columns; c++) {
        result[c * rows + r] = values[r * columns + c];
      }
    }
    return result;
  }

  /** One after the other. */
  public static float[] concatenated(float[]... parts) {
    int count = 0;
    for (float[] part : parts) {
      count += part.length;
    }
    float[] result = new float[count];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, result, at, part.length);
      at += part.length;
    }
    return result;
  }

  public static float[] scaled(float[] values, double factor) {
    float[] result = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      result[i] = (float) (values[i] * factor);
    }
    return result;
  }

  /** A table [S, N] with zeros in the rows that are not used. */
  public static float[] cleared(float[] table, boolean[] used) {
    float[] cleared = table.clone();
    int width = table.length / used.length;
    for (int i = 0; i < cleared.length; i++) {
      if (!used[i / width]) {
        cleared[i] = 0;
      }
    }
    return cleared;
  }
}
