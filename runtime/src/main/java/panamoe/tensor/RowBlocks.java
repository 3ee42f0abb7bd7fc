package panamoe.tensor;

/**
 * Blocks of rows to copy from one tensor to another.
 *
 * @param from first row of each block in the source
 * @param to first row of each block in the target; blocks do not overlap there
 * @param rows of each block
 */
public record RowBlocks(long[] from, long[] to, long[] rows) {

  /** The copy back. */
  public RowBlocks inverse() {
    return new RowBlocks(to, from, rows);
  }
}
