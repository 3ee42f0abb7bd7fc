package panamoe.checkpoint;

import panamoe.io.Require;

/**
 * A low-rank change of a matrix W [N, K]: W + scale * B A. Immutable.
 *
 * @param rank r
 * @param a [r, K], row-major; not to be changed
 * @param b [N, r], row-major; not to be changed
 */
public record LowRank(int rank, float[] a, float[] b, double scale) {
  public LowRank {
    Require.that(
        rank > 0 && a.length % rank == 0 && b.length % rank == 0,
        "%s and %s elements are no matrices of rank %s",
        a.length,
        b.length,
        rank);
  }

  /** N. */
  public int rows() {
    return b.length / rank;
  }

  /** K. */
  public int columns() {
    return a.length / rank;
  }

  /** The change of the transposed matrix. */
  public LowRank transposed() {
    return new LowRank(rank, transposed(b, rank), transposed(a, columns()), scale);
  }

  private static float[] transposed(float[] matrix, int columns) {
    int rows = matrix.length / columns;
    float[] turned = new float[matrix.length];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        turned[j * rows + i] = matrix[i * columns + j];
      }
    }
    return turned;
  }
}
