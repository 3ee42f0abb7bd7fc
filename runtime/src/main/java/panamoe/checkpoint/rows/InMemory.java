package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/**
 * A matrix in memory.
 *
 * @param elements row-major, native; valid while it is read
 */
public record InMemory(DType dtype, long rows, long columns, MemorySegment elements)
    implements RowSource {
  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    long bytes = dtype.bytes(columns);
    for (long i = 0; i < rows; i++) {
      long from = dtype.bytes((row + i) * this.columns + column);
      MemorySegment.copy(elements, from, into, i * bytes, bytes);
    }
  }
}
