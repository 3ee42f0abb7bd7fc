package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Optional;
import panamoe.checkpoint.BlockRows;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredType;
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
  private static final DType BLOCKS = DType.EIGHT_BIT_FLOATS;
  private static final ValueLayout.OfFloat SCALE =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  public ScaledRows {
    scales = WidenedRows.of(scales);
    if (values.dtype() != DType.FLOAT32) {
      throw new CheckpointException(
          "it has scales, but its values are %s, expected FLOAT32", values.dtype());
    }
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
  public boolean encoded() {
    return true;
  }

  /** Numbers of eight bits are in blocks, if each block's have one scale. */
  @Override
  public Optional<RowSource> inBlocks() {
    int block = BLOCKS.blockElements();
    return values instanceof StoredRows stored
            && stored.tensor().type() == StoredType.F8_E4M3
            && blockColumns % block == 0
            && columns() % block == 0
        ? Optional.of(
            new BlockRows(
                StoredType.of(BLOCKS),
                rows(),
                columns(),
                (row, count, column, width, into) ->
                    put(stored.asBytes(), row, count, column, width, into)))
        : Optional.empty();
  }

  private void put(
      RowSource bytes, long row, long rows, long column, long columns, MemorySegment into) {
    long across = columns / BLOCKS.blockElements();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment codes = arena.allocate(rows * columns);
      bytes.read(row, rows, column, columns, codes);
      Factors factors = new Factors(arena, row, rows, column, columns);
      for (long block = 0; block < rows * across; block++) {
        long from = block * BLOCKS.blockElements();
        long to = block * BLOCKS.blockBytes();
        into.set(SCALE, to, factors.of(block / across, block % across * BLOCKS.blockElements()));
        MemorySegment.copy(codes, from, into, to + Float.BYTES, BLOCKS.blockElements());
      }
    }
  }

  /** The scales of a rectangle. */
  private final class Factors {
    private final MemorySegment factors;
    private final long row;
    private final long column;
    private final long top;
    private final long left;
    private final long across;

    Factors(Arena arena, long row, long rows, long column, long columns) {
      this.row = row;
      this.column = column;
      top = row / blockRows;
      left = column / blockColumns;
      across = Math.ceilDiv(column + columns, (long) blockColumns) - left;
      long down = Math.ceilDiv(row + rows, (long) blockRows) - top;
      factors = arena.allocate(ValueLayout.JAVA_FLOAT, down * across);
      scales.read(top, down, left, across, factors);
    }

    /** The scale of an element, counted in the rectangle. */
    float of(long i, long j) {
      long line = ((row + i) / blockRows - top) * across;
      long block = (column + j) / blockColumns - left;
      return factors.getAtIndex(ValueLayout.JAVA_FLOAT, line + block);
    }
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    values.read(row, rows, column, columns, into);
    try (Arena arena = Arena.ofConfined()) {
      Factors factors = new Factors(arena, row, rows, column, columns);
      for (long i = 0; i < rows; i++) {
        for (long from = 0, end; from < columns; from = end) {
          long block = (column + from) / blockColumns;
          end = Math.min(columns, (block + 1) * blockColumns - column);
          float factor = factors.of(i, from);
          for (long at = i * columns + from; at < i * columns + end; at++) {
            float value = into.getAtIndex(ValueLayout.JAVA_FLOAT, at) * factor;
            into.setAtIndex(ValueLayout.JAVA_FLOAT, at, value);
          }
        }
      }
    }
  }
}
