package panamoe.tensor;

/** Memory of a device that can also move rows. One thread at a time calls its kernels. */
public interface TensorDevice extends TensorMemory {
  /**
   * {@code y[to[i] + r] = x[from[i] + r]} for r below {@code rows[i]}.
   *
   * @param x [R, ...]
   * @param y [R', ...] of the same dtype and row shape; its other rows are left unchanged
   * @throws IllegalArgumentException if a block leads outside x or y, or two blocks share a row of
   *     y
   */
  void copyBlocks(RowBlocks blocks, Tensor x, Tensor y);

  /** Waits for all work of this device. */
  void synchronize();
}
