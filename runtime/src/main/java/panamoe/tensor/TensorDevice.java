package panamoe.tensor;

/** Memory whose device also moves rows within it. Its kernels are given by one thread at a time. */
public interface TensorDevice extends TensorMemory {
  /**
   * {@code y[to[i] + r] = x[from[i] + r]} for r below {@code rows[i]}.
   *
   * @param x [R, ...]
   * @param y [R', ...] of the same dtype and row shape; its other rows are left as they are
   * @throws IllegalArgumentException if a block leads outside x or y, or two blocks share a row of
   *     y
   */
  void copyBlocks(RowBlocks blocks, Tensor x, Tensor y);

  /** Waits until all work given to this device is done. */
  void synchronize();
}
