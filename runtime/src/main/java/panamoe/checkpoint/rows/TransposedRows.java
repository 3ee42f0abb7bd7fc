package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/** Columns as rows; of FLOAT32 or BFLOAT16. */
public record TransposedRows(RowSource of) implements DerivedRows {
  @Override
  public long rows() {
    return of.columns();
  }

  @Override
  public long columns() {
    return of.rows();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment stored = arena.allocate(into.byteSize(), Float.BYTES);
      of.read(column, columns, row, rows, stored);
      boolean wide = dtype() == DType.FLOAT32;
      for (long i = 0; i < rows; i++) {
        for (long j = 0; j < columns; j++) {
          long to = i * columns + j;
          long from = j * rows + i;
          if (wide) {
            float value = stored.getAtIndex(ValueLayout.JAVA_FLOAT, from);
            into.setAtIndex(ValueLayout.JAVA_FLOAT, to, value);
          } else {
            short value = stored.getAtIndex(ValueLayout.JAVA_SHORT, from);
            into.setAtIndex(ValueLayout.JAVA_SHORT, to, value);
          }
        }
      }
    }
  }
}
