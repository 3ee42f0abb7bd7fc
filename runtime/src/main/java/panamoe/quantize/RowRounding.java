package panamoe.quantize;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;

/**
 * A tensor to be written: its rows are read piece by piece, and rounded on several threads.
 *
 * @param shape of the tensor
 * @param dtype blocks to round to, or the rows' own
 * @param weights of squared errors by column; null: equal
 * @param progress gets the number of further elements read
 * @param pool whose threads round
 */
record RowRounding(
    String name,
    RowSource rows,
    long[] shape,
    DType dtype,
    float[] weights,
    LongConsumer progress,
    ForkJoinPool pool)
    implements Elements {
  private static final long PIECE_ELEMENTS = 1 << 22;

  @Override
  public long[] shape() {
    return shape.clone();
  }

  @Override
  public void readBy(Reader reader) throws IOException {
    long columns = rows.columns();
    long step = Math.max(1, PIECE_ELEMENTS / Math.max(1, columns));
    for (long row = 0; row < rows.rows(); row += step) {
      if (Thread.currentThread().isInterrupted()) {
        throw new CancellationException("the quantization was interrupted");
      }
      long count = Math.min(step, rows.rows() - row);
      try (Arena arena = Arena.ofShared()) {
        MemorySegment stored = arena.allocate(rows.dtype().bytes(count * columns), Long.BYTES);
        rows.read(row, count, 0, columns, stored);
        reader.read(dtype == rows.dtype() ? stored : rounded(stored, count, arena));
      }
      progress.accept(count * columns);
    }
  }

  private MemorySegment rounded(MemorySegment stored, long count, Arena arena) {
    int columns = Math.toIntExact(rows.columns());
    MemorySegment floats = arena.allocate(ValueLayout.JAVA_FLOAT, count * columns);
    StoredType.of(rows.dtype()).decode(stored, floats);
    MemorySegment blocks = arena.allocate(dtype.bytes(count * columns));
    int threads = pool.getParallelism();
    AtomicReference<IllegalArgumentException> failure = new AtomicReference<>();
    pool.submit(
            () ->
                IntStream.range(0, threads)
                    .parallel()
                    .forEach(
                        part -> {
                          long from = count * part / threads * columns;
                          long end = count * (part + 1) / threads * columns;
                          long first = dtype.bytes(from);
                          try {
                            dtype
                                .blocks()
                                .search(
                                    floats.asSlice(from * Float.BYTES, (end - from) * Float.BYTES),
                                    weights,
                                    columns,
                                    blocks.asSlice(first, dtype.bytes(end) - first));
                          } catch (IllegalArgumentException e) {
                            failure.set(e);
                          }
                        }))
        .join();
    if (failure.get() != null) {
      throw new CheckpointException(
          name + " cannot be held in blocks: " + failure.get().getMessage(), failure.get());
    }
    return blocks;
  }
}
