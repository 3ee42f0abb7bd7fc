package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/** Columns as rows; of FLOAT32, BFLOAT16 or UINT8. */
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
      DType dtype = dtype();
      for (long i = 0; i < rows; i++) {
        for (long j = 0; j < columns; j++) {
          long to = i * columns + j;
          long from = j * rows + i;
          switch (dtype) {
            case FLOAT32 ->
                into.setAtIndex(
                    ValueLayout.JAVA_FLOAT, to, stored.getAtIndex(ValueLayout.JAVA_FLOAT, from));
            case UINT8 ->
                into.set(ValueLayout.JAVA_BYTE, to, stored.get(ValueLayout.JAVA_BYTE, from));
            default ->
                into.setAtIndex(
                    ValueLayout.JAVA_SHORT, to, stored.getAtIndex(ValueLayout.JAVA_SHORT, from));
          }
        }
      }
    }
  }
}
