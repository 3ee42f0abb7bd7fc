package panamoe.checkpoint.rows;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.checkpoint.gguf.GgufSamples;
import panamoe.tensor.DType;

/** Rows of quantised blocks, of which any columns may be read. */
class BlockRowsTest {
  private static final int COLUMNS = 32;

  @Test
  void partsOfBlocksAreReadAsTheWhole() {
    try (GgufFile file = GgufFile.open(GgufSamples.path("ok_plain.gguf"))) {
      StoredTensor stack = file.tensors().get("blk.0.ffn_up_exps.weight");
      RowSource expert = StoredRows.part(file, stack, 1);
      assertEquals(DType.FLOAT32, expert.dtype());
      assertEquals(COLUMNS, expert.columns());
      float[] whole = read(expert, 0, 32, 0, COLUMNS);
      for (int column : new int[] {0, 5, 31}) {
        float[] part = read(expert, 2, 3, column, 32 - column);
        for (int row = 0; row < 3; row++) {
          int from = (2 + row) * COLUMNS;
          int at = row * (COLUMNS - column);
          assertArrayEquals(
              Arrays.copyOfRange(whole, from + column, from + COLUMNS),
              Arrays.copyOfRange(part, at, at + COLUMNS - column));
        }
      }
    }
  }

  @Test
  void vectorsInBlocksAreRefused() {
    try (GgufFile file = GgufFile.open(GgufSamples.path("ok_plain.gguf"))) {
      String name = "blk.0.attn_q.weight";
      StoredTensor vector =
          new StoredTensor(name, StoredType.of(DType.Q8_0), new long[] {32}, 0, 34);
      assertThrows(CheckpointException.class, () -> StoredRows.of(file, vector));
    }
  }

  private static float[] read(RowSource rows, long row, long count, long column, long columns) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment into = arena.allocate(ValueLayout.JAVA_FLOAT, count * columns);
      rows.read(row, count, column, columns, into);
      return into.toArray(ValueLayout.JAVA_FLOAT);
    }
  }
}
