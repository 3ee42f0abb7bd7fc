package panamoe.checkpoint.rows;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.tensor.DType;

class HeadRowsTest {
  /** FLOAT32 [rows, columns]: element (r, c) is 10 r + c. */
  private record Numbered(long rows, long columns) implements RowSource {
    @Override
    public DType dtype() {
      return DType.FLOAT32;
    }

    @Override
    public void read(long row, long rows, long column, long columns, MemorySegment into) {
      for (long i = 0; i < rows * columns; i++) {
        float value = 10 * (row + i / columns) + column + i % columns;
        into.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      }
    }
  }

  /** Two heads of three rows: two of a key, one of a value. */
  @Test
  void keysTransposedAndValues() {
    RowSource stored = new Numbered(6, 2);
    RowSource keys = new HeadRows(stored, 2, 0, 2, true);
    RowSource values = new HeadRows(stored, 2, 2, 1, false);
    assertEquals(4, keys.columns());
    assertArrayEquals(new float[] {0, 10, 1, 11, 30, 40, 31, 41}, read(keys, 0, 2));
    assertArrayEquals(new float[] {30, 40, 31, 41}, read(keys, 1, 1));
    assertArrayEquals(new float[] {20, 21, 50, 51}, read(values, 0, 2));
  }

  /** Heads with fewer rows than requested: the rows would be another head's. */
  @Test
  void headsThatDoNotHoldTheRows() {
    RowSource stored = new Numbered(6, 2);
    assertThrows(CheckpointException.class, () -> new HeadRows(stored, 2, 2, 2, false));
    assertThrows(CheckpointException.class, () -> new HeadRows(stored, 2, -1, 4, false));
    String uneven =
        assertThrows(CheckpointException.class, () -> new HeadRows(stored, 4, 0, 1, true))
            .getMessage();
    assertEquals("6 rows of 4 heads do not hold 1 of each from its row 0 on", uneven);
  }

  private static float[] read(RowSource source, long row, long rows) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment into = arena.allocate(rows * source.columns() * Float.BYTES, Float.BYTES);
      source.read(row, rows, 0, source.columns(), into);
      return into.toArray(ValueLayout.JAVA_FLOAT);
    }
  }
}
