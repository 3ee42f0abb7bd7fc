package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.CheckpointException;
import panamoe.tensor.DType;

/**
 * Rows in MXFP4 as GPT-OSS was released in it: 32 values share an exponent, and a byte has value 2i
 * in its low, value 2i + 1 in its high bits.
 *
 * @param blocks UINT8, half a byte for each value
 * @param scales UINT8, exponents with a bias of 127, one for each 32 values
 */
public record Mxfp4Rows(RowSource blocks, RowSource scales) implements RowSource {
  private static final int BLOCK = 32;
  private static final float[] VALUES = {
    0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6
  };
  private static final float[] POWERS = new float[256];

  static {
    for (int exponent = 0; exponent < POWERS.length; exponent++) {
      POWERS[exponent] = Math.scalb(1f, exponent - 127);
    }
  }

  public Mxfp4Rows {
    if (blocks.rows() != scales.rows() || 2 * blocks.columns() != BLOCK * scales.columns()) {
      throw new CheckpointException(
          "MXFP4 blocks of "
              + blocks.rows()
              + " rows of "
              + blocks.columns()
              + " bytes do not fit scales of "
              + scales.rows()
              + " rows of "
              + scales.columns());
    }
  }

  @Override
  public DType dtype() {
    return DType.FLOAT32;
  }

  @Override
  public long rows() {
    return blocks.rows();
  }

  @Override
  public long columns() {
    return 2 * blocks.columns();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    long left = column / BLOCK;
    long across = Math.ceilDiv(column + columns, (long) BLOCK) - left;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment exponents = arena.allocate(rows * across);
      MemorySegment bytes = arena.allocate(rows * across * BLOCK / 2);
      scales.read(row, rows, left, across, exponents);
      blocks.read(row, rows, left * BLOCK / 2, across * BLOCK / 2, bytes);
      for (long i = 0; i < rows; i++) {
        for (long j = 0; j < columns; j++) {
          long place = i * across * BLOCK + column + j - left * BLOCK;
          float power = POWERS[exponents.get(ValueLayout.JAVA_BYTE, place / BLOCK) & 0xff];
          int pair = bytes.get(ValueLayout.JAVA_BYTE, place / 2) & 0xff;
          float value = VALUES[place % 2 == 0 ? pair & 0xf : pair >> 4];
          into.setAtIndex(ValueLayout.JAVA_FLOAT, i * columns + j, value * power);
        }
      }
    }
  }
}
