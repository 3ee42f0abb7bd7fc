package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.util.function.LongUnaryOperator;
import panamoe.tensor.DType;

/**
 * Rows in another order.
 *
 * @param place which row of {@code of} a row is
 */
public record ReorderedRows(RowSource of, LongUnaryOperator place) implements RowSource {
  /**
   * Heads whose rotary pairs are (i, i + D/2), of heads where they are stored as (2i, 2i + 1), as
   * GGUF's llama has queries and keys.
   *
   * @param headSize D
   */
  public static ReorderedRows halvesOfPairs(RowSource of, int headSize) {
    long half = headSize / 2;
    return new ReorderedRows(
        of,
        row -> {
          long inHead = row % headSize;
          return row - inHead + inHead % half * 2 + inHead / half;
        });
  }

  @Override
  public DType dtype() {
    return of.dtype();
  }

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
    long rowBytes = columns * dtype().bytes();
    for (long i = 0; i < rows; i++) {
      long stored = place.applyAsLong(row + i);
      of.read(stored, 1, column, columns, into.asSlice(i * rowBytes, rowBytes));
    }
  }
}
