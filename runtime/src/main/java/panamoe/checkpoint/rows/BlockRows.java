package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import panamoe.tensor.DType;

/**
 * Stored rows in their blocks, byte for byte.
 *
 * @param dtype the blocks'
 */
record BlockRows(StoredRows of, DType dtype) implements RowSource {
  @Override
  public long rows() {
    return of.rows();
  }

  @Override
  public long columns() {
    return of.columns();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    of.bytes(row, rows, column, columns, into);
  }
}
