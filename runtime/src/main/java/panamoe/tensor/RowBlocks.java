package panamoe.tensor;

/**
 * Blocks of rows in two arrangements: where each block lies in one tensor, and where in another.
 *
 * @param from first row of each block in the first
 * @param to first row of each block in the second; no two blocks share a row there
 * @param rows of each block
 */
public record RowBlocks(long[] from, long[] to, long[] rows) {

  /** From the second arrangement to the first. */
  public RowBlocks inverse() {
    return new RowBlocks(to, from, rows);
  }
}
