package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.tensor.DType;

/**
 * GPT-OSS's MXFP4 as blocks of {@link DType#MXFP4}: the exponent, then bytes with value j in their
 * low, value j + 16 in their high bits.
 */
record Mxfp4Blocks(Mxfp4Rows of) implements RowsOf {
  private static final int HALF = 16; // values of half a block, and bytes of a whole one

  @Override
  public DType dtype() {
    return DType.MXFP4;
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    long across = columns / (2 * HALF);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment exponents = arena.allocate(rows * across);
      MemorySegment pairs = arena.allocate(rows * across * HALF);
      of.scales().read(row, rows, column / (2 * HALF), across, exponents);
      of.blocks().read(row, rows, column / 2, across * HALF, pairs);
      for (long block = 0, at = 0; block < rows * across; block++) {
        into.set(ValueLayout.JAVA_BYTE, at++, exponents.get(ValueLayout.JAVA_BYTE, block));
        for (int j = 0; j < HALF; j++) {
          int low = code(pairs, block * HALF, j);
          int high = code(pairs, block * HALF, j + HALF);
          into.set(ValueLayout.JAVA_BYTE, at++, (byte) (low | high << 4));
        }
      }
    }
  }

  /** The four bits of value {@code i} of a block. */
  private static int code(MemorySegment pairs, long block, int i) {
    return pairs.get(ValueLayout.JAVA_BYTE, block + i / 2) >> 4 * (i % 2) & 0xf;
  }
}
