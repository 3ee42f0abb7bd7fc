package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.blocks.BlockFormat;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/**
 * Floats of four bits (E2M1), in pairs.
 *
 * @param of UINT8, the first of two in the low bits
 */
public record E2m1Rows(RowSource of) implements DerivedRows {
  public E2m1Rows {
    of = new UnpackedRows(of, 4, UnpackedRows.Along.COLUMNS, 0);
  }

  @Override
  public DType dtype() {
    return DType.FLOAT32;
  }

  @Override
  public boolean encoded() {
    return true;
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment codes = arena.allocate(rows * columns);
      of.read(row, rows, column, columns, codes);
      for (long i = 0; i < rows * columns; i++) {
        float value = BlockFormat.twiceE2m1(codes.get(ValueLayout.JAVA_BYTE, i)) * 0.5f;
        into.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      }
    }
  }
}
