package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/**
 * Values plus a number, in float32.
 *
 * @param of FLOAT32
 */
public record OffsetRows(RowSource of, float offset) implements DerivedRows {
  /** The rows plus a number; what another offset took from the same rows comes back unchanged. */
  public static RowSource of(RowSource rows, float offset) {
    return rows instanceof OffsetRows(RowSource inner, float taken) && taken == -offset
        ? inner
        : new OffsetRows(WidenedRows.of(rows), offset);
  }

  @Override
  public DType dtype() {
    return DType.FLOAT32;
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    of.read(row, rows, column, columns, into);
    for (long i = 0; i < rows * columns; i++) {
      float value = into.getAtIndex(ValueLayout.JAVA_FLOAT, i) + offset;
      into.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
    }
  }
}
