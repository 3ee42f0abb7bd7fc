package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.RowSource;

/** Columns as rows, by tiles that stay in the nearest cache. */
public record TransposedRows(RowSource of) implements DerivedRows {
  private static final int TILE = 64;

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
    int bytes = dtype().bytes();
    byte[] stored = new byte[TILE * TILE * bytes];
    byte[] turned = new byte[TILE * TILE * bytes];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment whole = arena.allocate(into.byteSize(), Float.BYTES);
      of.read(column, columns, row, rows, whole);
      for (long i = 0; i < rows; i += TILE) {
        int down = (int) Math.min(TILE, rows - i);
        for (long j = 0; j < columns; j += TILE) {
          int across = (int) Math.min(TILE, columns - j);
          copy(whole, (j * rows + i) * bytes, rows * bytes, stored, across, down * bytes, false);
          turn(stored, across, down, bytes, turned);
          copy(
              into, (i * columns + j) * bytes, columns * bytes, turned, down, across * bytes, true);
        }
      }
    }
  }

  /** Copies lines of a tile out of a matrix, or into it. */
  private static void copy(
      MemorySegment matrix, long at, long step, byte[] tile, int lines, int bytes, boolean into) {
    for (int i = 0; i < lines; i++) {
      long from = at + i * step;
      if (into) {
        MemorySegment.copy(tile, i * bytes, matrix, ValueLayout.JAVA_BYTE, from, bytes);
      } else {
        MemorySegment.copy(matrix, ValueLayout.JAVA_BYTE, from, tile, i * bytes, bytes);
      }
    }
  }

  private static void turn(byte[] stored, int lines, int elements, int bytes, byte[] turned) {
    for (int i = 0; i < elements; i++) {
      for (int j = 0; bytes == 1 && j < lines; j++) { // codes are most of what is turned
        turned[i * lines + j] = stored[j * elements + i];
      }
      for (int j = 0; bytes > 1 && j < lines; j++) {
        System.arraycopy(
            stored, (j * elements + i) * bytes, turned, (i * lines + j) * bytes, bytes);
      }
    }
  }
}
