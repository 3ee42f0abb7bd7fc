package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

/**
 * Codes of a few bits as UINT8, which are packed in words, the first in the lowest bits.
 *
 * @param words INT32, or bytes
 * @param bits of a code
 * @param plus added to each code by an addition of words, so that it carries; 0 to keep them
 */
public record UnpackedRows(RowSource words, int bits, Along along, int plus) implements RowSource {
  private static final ValueLayout.OfInt WORD =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** The codes of a word. */
  public enum Along {
    /** of one column */
    ROWS,
    /** of one row */
    COLUMNS,
    /** of one row: even columns are before odd ones, as in AWQ's */
    INTERLEAVED_COLUMNS
  }

  public UnpackedRows {
    if (!List.of(DType.INT32, DType.UINT8, DType.INT8).contains(words.dtype())) {
      throw new CheckpointException("codes are packed in " + words.dtype() + ", expected INT32");
    }
  }

  private int perWord() {
    return Byte.SIZE * words.dtype().bytes() / bits;
  }

  @Override
  public DType dtype() {
    return DType.UINT8;
  }

  @Override
  public long rows() {
    return along == Along.ROWS ? words.rows() * perWord() : words.rows();
  }

  @Override
  public long columns() {
    return along == Along.ROWS ? words.columns() : words.columns() * perWord();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    int down = along == Along.ROWS ? perWord() : 1;
    int across = along == Along.ROWS ? 1 : perWord();
    long top = row / down;
    long left = column / across;
    long width = Math.ceilDiv(column + columns, (long) across) - left;
    long height = Math.ceilDiv(row + rows, (long) down) - top;
    long size = words.dtype().bytes();
    int each = plus * Integer.divideUnsigned(-1, (1 << bits) - 1);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment packed = arena.allocate(height * width * size + Integer.BYTES, Integer.BYTES);
      words.read(top, height, left, width, packed.asSlice(0, height * width * size));
      for (long i = 0, at = 0; i < rows; i++) {
        long line = ((row + i) / down - top) * width;
        int within = (int) ((row + i) % down);
        for (long j = column; j < column + columns; j++) {
          int place = down > 1 ? within : place((int) (j % across));
          int word = packed.get(WORD, (line + j / across - left) * size) + each;
          into.set(ValueLayout.JAVA_BYTE, at++, (byte) (word >>> place * bits & (1 << bits) - 1));
        }
      }
    }
  }

  private int place(int column) {
    return along == Along.COLUMNS ? column : column / 2 + column % 2 * (perWord() / 2);
  }
}
