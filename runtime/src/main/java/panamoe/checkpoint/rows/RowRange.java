package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import panamoe.tensor.DType;

/**
 * Some rows that follow each other.
 *
 * @param first among the rows of {@code of}
 */
public record RowRange(RowSource of, long first, long rows) implements RowSource {
  @Override
  public DType dtype() {
    return of.dtype();
  }

  @Override
  public long columns() {
    return of.columns();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    of.read(first + row, rows, column, columns, into);
  }
}
