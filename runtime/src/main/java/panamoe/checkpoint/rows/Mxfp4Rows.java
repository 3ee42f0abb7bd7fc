package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
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
    int across = Math.toIntExact(Math.ceilDiv(column + columns, (long) BLOCK) - left);
    byte[] powers = new byte[across];
    byte[] pairs = new byte[across * BLOCK / 2];
    float[] line = new float[across * BLOCK];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment exponents = arena.allocate(rows * across);
      MemorySegment bytes = arena.allocate(rows * pairs.length);
      scales.read(row, rows, left, across, exponents);
      blocks.read(row, rows, left * BLOCK / 2, pairs.length, bytes);
      for (long i = 0; i < rows; i++) {
        MemorySegment.copy(exponents, ValueLayout.JAVA_BYTE, i * across, powers, 0, across);
        MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, i * pairs.length, pairs, 0, pairs.length);
        for (int j = 0; j < pairs.length; j++) {
          float power = POWERS[powers[2 * j / BLOCK] & 0xff];
          line[2 * j] = VALUES[pairs[j] & 0xf] * power;
          line[2 * j + 1] = VALUES[pairs[j] >> 4 & 0xf] * power;
        }
        MemorySegment.copy(
            line,
            (int) (column - left * BLOCK),
            into,
            ValueLayout.JAVA_FLOAT,
            i * columns * Float.BYTES,
            (int) columns);
      }
    }
  }

  @Override
  public Optional<RowSource> inBlocks() {
    return Optional.of(new Mxfp4Blocks(this));
  }
}
