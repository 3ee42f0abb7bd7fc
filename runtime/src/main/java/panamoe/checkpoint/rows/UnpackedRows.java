package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
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
    int[] line = new int[Math.toIntExact(width)];
    byte[] bytes = new byte[line.length];
    byte[] codes = new byte[Math.toIntExact(width * across)];
    int first = (int) (column - left * across);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment packed = arena.allocate(height * width * size, Integer.BYTES);
      words.read(top, height, left, width, packed);
      for (long i = 0; i < rows; i++) {
        long at = ((row + i) / down - top) * width * size;
        if (size == 1) {
          MemorySegment.copy(packed, ValueLayout.JAVA_BYTE, at, bytes, 0, line.length);
          Arrays.setAll(line, j -> bytes[j]);
        } else {
          MemorySegment.copy(packed, WORD, at, line, 0, line.length);
        }
        if (down > 1) {
          unpack(line, (int) ((row + i) % down) * bits, codes);
        } else {
          unpack(line, codes);
        }
        MemorySegment.copy(codes, first, into, ValueLayout.JAVA_BYTE, i * columns, (int) columns);
      }
    }
  }

  private int each() {
    return plus * Integer.divideUnsigned(-1, (1 << bits) - 1);
  }

  /** A code of each word. */
  private void unpack(int[] line, int shift, byte[] codes) {
    int each = each();
    int mask = (1 << bits) - 1;
    for (int j = 0; j < line.length; j++) {
      codes[j] = (byte) (line[j] + each >>> shift & mask);
    }
  }

  /** All codes of each word. */
  private void unpack(int[] line, byte[] codes) {
    int each = each();
    int mask = (1 << bits) - 1;
    int[] shifts = new int[perWord()];
    Arrays.setAll(shifts, j -> place(j) * bits);
    int at = 0;
    for (int word : line) {
      for (int shift : shifts) {
        codes[at++] = (byte) (word + each >>> shift & mask);
      }
    }
  }

  private int place(int column) {
    return along == Along.COLUMNS ? column : column / 2 + column % 2 * (perWord() / 2);
  }
}
