package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import panamoe.checkpoint.BlockRows;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.tensor.DType;

/**
 * Rows in GPT-OSS's release format: 32 values share an exponent, and a byte has value 2i in its
 * low, value 2i + 1 in its high bits. Blocks of {@link DType#PAIRED_BLOCKS} have the exponent, then
 * bytes with value j in their low, value j + 16 in their high bits.
 *
 * @param pairs UINT8, half a byte for each value
 * @param exponents UINT8, one for each 32 values
 */
public record PairedRows(RowSource pairs, RowSource exponents) implements RowSource {
  private static final int BLOCK = DType.PAIRED_BLOCKS.blockElements();
  private static final int HALF = BLOCK / 2; // values of half a block, and bytes of a whole one

  public PairedRows {
    if (pairs.rows() != exponents.rows() || 2 * pairs.columns() != BLOCK * exponents.columns()) {
      throw new CheckpointException(
          DType.PAIRED_BLOCKS
              + " blocks of "
              + pairs.rows()
              + " rows of "
              + pairs.columns()
              + " bytes do not fit scales of "
              + exponents.rows()
              + " rows of "
              + exponents.columns());
    }
  }

  @Override
  public DType dtype() {
    return DType.FLOAT32;
  }

  @Override
  public long rows() {
    return pairs.rows();
  }

  @Override
  public long columns() {
    return 2 * pairs.columns();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    blocks().decode(row, rows, column, columns, into);
  }

  @Override
  public boolean encoded() {
    return true;
  }

  @Override
  public Optional<RowSource> inBlocks() {
    return Optional.of(blocks());
  }

  private BlockRows blocks() {
    return new BlockRows(StoredType.of(DType.PAIRED_BLOCKS), rows(), columns(), this::stored);
  }

  private void stored(long row, long rows, long column, long columns, MemorySegment into) {
    long across = columns / BLOCK;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment scales = arena.allocate(rows * across);
      MemorySegment values = arena.allocate(rows * across * HALF);
      exponents.read(row, rows, column / BLOCK, across, scales);
      pairs.read(row, rows, column / 2, across * HALF, values);
      for (long block = 0, at = 0; block < rows * across; block++) {
        into.set(ValueLayout.JAVA_BYTE, at++, scales.get(ValueLayout.JAVA_BYTE, block));
        for (int j = 0; j < HALF; j++) {
          int low = value(values, block * HALF, j);
          int high = value(values, block * HALF, j + HALF);
          into.set(ValueLayout.JAVA_BYTE, at++, (byte) (low | high << 4));
        }
      }
    }
  }

  /** The four bits of value {@code i} of a block. */
  private static int value(MemorySegment values, long block, int i) {
    return values.get(ValueLayout.JAVA_BYTE, block + i / 2) >> 4 * (i % 2) & 0xf;
  }
}
