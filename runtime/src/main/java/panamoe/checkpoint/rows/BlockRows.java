package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import panamoe.tensor.DType;

/**
 * Stored rows in their blocks, byte for byte.
 *
 * @param dtype the blocks'
 */
record BlockRows(StoredRows of, DType dtype) implements RowsOf {
  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    of.bytes(row, rows, column, columns, into);
  }
}
