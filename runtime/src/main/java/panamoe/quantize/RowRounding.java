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
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.RowSource;
import panamoe.tensor.BlockSearch;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;

/** Reads rows piece by piece for a file that is written, and rounds them on several threads. */
final class RowRounding implements AutoCloseable {
  private static final long PIECE_ELEMENTS = 1 << 22;

  private final ForkJoinPool pool;
  private final int threads;

  RowRounding(int threads) {
    this.threads = threads;
    this.pool = new ForkJoinPool(threads);
  }

  /**
   * A tensor of rows.
   *
   * @param shape of the tensor
   * @param dtype blocks to round to, or the rows' own
   * @param weights of squared errors by column; null: all alike
   * @param progress is told how many more elements are read
   */
  Elements rows(
      String name,
      RowSource rows,
      long[] shape,
      DType dtype,
      float[] weights,
      LongConsumer progress) {
    return new Rows(name, rows, shape, dtype, weights, progress);
  }

  private final class Rows implements Elements {
    private final String name;
    private final RowSource rows;
    private final long[] shape;
    private final DType dtype;
    private final float[] weights;
    private final LongConsumer progress;

    Rows(
        String name,
        RowSource rows,
        long[] shape,
        DType dtype,
        float[] weights,
        LongConsumer progress) {
      this.name = name;
      this.rows = rows;
      this.shape = shape;
      this.dtype = dtype;
      this.weights = weights;
      this.progress = progress;
    }

    @Override
    public DType dtype() {
      return dtype;
    }

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
                              BlockSearch.round(
                                  dtype,
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

  @Override
  public void close() {
    pool.close();
  }
}
