package panamoe.backend.reference;

import panamoe.tensor.Tensor;

/**
 * Tensors as arrays of doubles. A kernel reads whole inputs, computes, and writes at the end, so an
 * output may alias an input. Writing rounds to float32, and then to bfloat16 for a bfloat16 tensor.
 */
final class Values {
  private Values() {}

  /** All elements in row-major order. */
  static double[] read(Tensor tensor) {
    if (tensor.dtype().isBlocks()) {
      return Blocks.numbers(tensor);
    }
    float[] values = tensor.toFloats();
    double[] wide = new double[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    return wide;
  }

  /** The sum, in float64. */
  static double sum(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += value;
    }
    return sum;
  }

  /** The elements as rows of the last dimension: [.., N] as [rows][N]. */
  static double[][] readRows(Tensor tensor) {
    int width = Math.toIntExact(tensor.size(-1));
    double[] values = read(tensor);
    double[][] rows = new double[rowCount(tensor)][width];
    for (int r = 0; r < rows.length; r++) {
      System.arraycopy(values, r * width, rows[r], 0, width);
    }
    return rows;
  }

  /** The columns of a matrix: [R, N] as [N][R]. */
  static double[][] readColumns(Tensor tensor) {
    double[][] rows = readRows(tensor);
    double[][] columns = new double[Math.toIntExact(tensor.size(1))][rows.length];
    for (int r = 0; r < rows.length; r++) {
      for (int c = 0; c < columns.length; c++) {
        columns[c][r] = rows[r][c];
      }
    }
    return columns;
  }

  /** Zeros of the same shape. */
  static double[][] zeroRows(Tensor tensor) {
    return new double[rowCount(tensor)][Math.toIntExact(tensor.size(-1))];
  }

  static void write(double[] values, Tensor tensor) {
    for (int i = 0; i < values.length; i++) {
      tensor.setFloat(i, (float) values[i]);
    }
  }

  static void write(double[][] rows, Tensor tensor) {
    long i = 0;
    for (double[] row : rows) {
      for (double value : row) {
        tensor.setFloat(i++, (float) value);
      }
    }
  }

  private static int rowCount(Tensor tensor) {
    long count = 1;
    for (int axis = 0; axis < tensor.rank() - 1; axis++) {
      count *= tensor.size(axis);
    }
    return Math.toIntExact(count);
  }
}
