package panamoe.edit;

import panamoe.config.GroupedQueryConfig.Heads;

/** How a tensor is made of the slices of Megatron's tensor ranks. */
enum TensorJoin {
  /** Every rank has the whole tensor. */
  WHOLE,
  /** Slices are concatenated by rows. */
  ROWS,
  /** Slices are concatenated by columns. */
  COLUMNS,
  /** The queries of a fused projection, whose rows are, for each key/value head, q ..., k, v. */
  QUERY,
  /** The keys of a fused projection. */
  KEY,
  /** The values of a fused projection. */
  VALUE;

  boolean ofFused() {
    return this == QUERY || this == KEY || this == VALUE;
  }

  /**
   * The shape of a rank's slice.
   *
   * @param shape of the whole, a fused projection's included
   * @throws IllegalArgumentException if the ranks do not divide it
   */
  long[] slice(long[] shape, int ranks) {
    long[] slice = shape.clone();
    if (this != WHOLE) {
      int axis = this == COLUMNS ? 1 : 0;
      if (slice[axis] % ranks != 0) {
        throw new IllegalArgumentException(
            slice[axis] + " rows or columns do not divide among " + ranks + " tensor ranks");
      }
      slice[axis] /= ranks;
    }
    return slice;
  }

  /**
   * @param slices of all ranks, row by row; one is enough for {@link #WHOLE}
   * @param rows of each slice, 1 for a vector
   */
  float[] of(float[][] slices, int rows, Heads heads) {
    if (this == WHOLE || slices.length == 1 && !ofFused()) {
      return slices[0];
    }
    float[] joined = this == COLUMNS ? sideBySide(slices, rows) : stacked(slices);
    return ofFused() ? part(joined, heads) : joined;
  }

  private static float[] stacked(float[][] slices) {
    float[] joined = new float[Math.multiplyExact(slices[0].length, slices.length)];
    for (int i = 0; i < slices.length; i++) {
      System.arraycopy(slices[i], 0, joined, i * slices[0].length, slices[0].length);
    }
    return joined;
  }

  private static float[] sideBySide(float[][] slices, int rows) {
    int width = slices[0].length / rows;
    float[] joined = new float[Math.multiplyExact(slices[0].length, slices.length)];
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < slices.length; i++) {
        int to = (row * slices.length + i) * width;
        System.arraycopy(slices[i], row * width, joined, to, width);
      }
    }
    return joined;
  }

  private float[] part(float[] fused, Heads heads) {
    int shared = heads.query() / heads.keyValue();
    int head = fused.length / (heads.query() + 2 * heads.keyValue()); // elements of one head
    int before = this == QUERY ? 0 : this == KEY ? shared : shared + 1;
    int taken = (this == QUERY ? shared : 1) * head;
    float[] part = new float[taken * heads.keyValue()];
    for (int group = 0; group < heads.keyValue(); group++) {
      int from = (group * (shared + 2) + before) * head;
      System.arraycopy(fused, from, part, group * taken, taken);
    }
    return part;
  }
}
