package panamoe.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.tensor.DType;

/** Rows in blocks: their bytes, or decoded elements from any column on. */
public record BlockRows(StoredType type, long rows, long columns, Stored stored)
    implements RowSource {
  /** Reads stored rows. */
  @FunctionalInterface
  public interface Stored {
    /** Like {@link RowSource#read}, of whole blocks. */
    void read(long row, long rows, long column, long columns, MemorySegment into);
  }

  @Override
  public DType dtype() {
    return type.blocks().orElseThrow();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    stored.read(row, rows, column, columns, into);
  }

  /** Like {@link RowSource#read}, as float32. */
  public void decode(long row, long rows, long column, long columns, MemorySegment into) {
    int block = type.elements();
    long before = column % block;
    long held = Math.ceilDiv(before + columns, block) * block;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment blocks = arena.allocate(rows * held / block * type.bytes(), Long.BYTES);
      stored.read(row, rows, column - before, held, blocks);
      if (held == columns) {
        type.decode(blocks, into);
        return;
      }
      MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, rows * held);
      type.decode(blocks, floats);
      for (long i = 0; i < rows; i++) {
        MemorySegment.copy(
            floats,
            (i * held + before) * Float.BYTES,
            into,
            i * columns * Float.BYTES,
            columns * Float.BYTES);
      }
    }
  }
}
