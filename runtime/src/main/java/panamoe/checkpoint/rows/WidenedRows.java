package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;

/** BFLOAT16 rows as FLOAT32. */
record WidenedRows(RowSource of) implements DerivedRows {
  static RowSource of(RowSource rows) {
    return rows.dtype() == DType.BFLOAT16 ? new WidenedRows(rows) : rows;
  }

  @Override
  public DType dtype() {
    return DType.FLOAT32;
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    long count = rows * columns;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment narrow = arena.allocate(count * Short.BYTES, Short.BYTES);
      of.read(row, rows, column, columns, narrow);
      for (long i = 0; i < count; i++) {
        float wide = BFloat16.toFloat(narrow.getAtIndex(ValueLayout.JAVA_SHORT, i));
        into.setAtIndex(ValueLayout.JAVA_FLOAT, i, wide);
      }
    }
  }
}
