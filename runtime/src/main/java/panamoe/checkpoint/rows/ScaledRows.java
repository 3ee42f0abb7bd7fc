package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/**
 * Values times the scale of their block (DeepSeek-V3's {@code weight_scale_inv}); blocks at the
 * right and lower edge may be smaller.
 *
 * @param values FLOAT32
 * @param scales FLOAT32 or BFLOAT16, a value for each block
 * @param blockRows of a block
 * @param blockColumns of a block
 */
public record ScaledRows(RowSource values, RowSource scales, int blockRows, int blockColumns)
    implements RowSource {
  public ScaledRows {
    scales = WidenedRows.of(scales);
    if (scales.dtype() != DType.FLOAT32
        || scales.rows() != Math.ceilDiv(values.rows(), (long) blockRows)
        || scales.columns() != Math.ceilDiv(values.columns(), (long) blockColumns)) {
      throw new CheckpointException(
          "scales %s of %s rows of %s are not one for each block of %s by %s values",
          scales.dtype(), scales.rows(), scales.columns(), blockRows, blockColumns);
    }
  }

  /** Values with a scale for each row, or one for all. */
  public static ScaledRows whole(RowSource values, RowSource scales) {
    int rows = scales.rows() == 1 ? Math.toIntExact(values.rows()) : 1;
    return new ScaledRows(values, scales, rows, Math.toIntExact(values.columns()));
  }

  @Override
  public DType dtype() {
    return DType.FLOAT32;
  }

  @Override
  public long rows() {
    return values.rows();
  }

  @Override
  public long columns() {
    return values.columns();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    values.read(row, rows, column, columns, into);
    long top = row / blockRows;
    long left = column / blockColumns;
    long down = Math.ceilDiv(row + rows, (long) blockRows) - top;
    long across = Math.ceilDiv(column + columns, (long) blockColumns) - left;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment factors = arena.allocate(down * across * Float.BYTES, Float.BYTES);
      scales.read(top, down, left, across, factors);
      for (long i = 0; i < rows; i++) {
        long line = ((row + i) / blockRows - top) * across;
        for (long from = 0, end; from < columns; from = end) {
          long block = (column + from) / blockColumns;
          end = Math.min(columns, (block + 1) * blockColumns - column);
          float factor = factors.getAtIndex(ValueLayout.JAVA_FLOAT, line + block - left);
          for (long at = i * columns + from; at < i * columns + end; at++) {
            float value = into.getAtIndex(ValueLayout.JAVA_FLOAT, at) * factor;
            into.setAtIndex(ValueLayout.JAVA_FLOAT, at, value);
          }
        }
      }
    }
  }
}
