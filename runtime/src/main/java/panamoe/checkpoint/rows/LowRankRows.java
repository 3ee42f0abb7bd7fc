package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import panamoe.checkpoint.LowRank;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredRows;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.tensor.BFloat16;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * {@code W + s B A}: a matrix with its low-rank adapter, or a stack of matrices, one after the
 * other, each with its own. Summed in float32, then rounded to the dtype of W.
 *
 * @param of W [H N, K]
 * @param a FLOAT32 A [H r, K]
 * @param b FLOAT32 B [H N, r]
 * @param scale s
 */
public record LowRankRows(RowSource of, RowSource a, RowSource b, float scale)
    implements DerivedRows {
  public LowRankRows {
    a = WidenedRows.of(a);
    b = WidenedRows.of(b);
  }

  /** With an adapter in memory. */
  public static LowRankRows of(RowSource of, LowRank change) {
    MemorySegment a = MemorySegment.ofArray(change.a());
    MemorySegment b = MemorySegment.ofArray(change.b());
    return new LowRankRows(
        of,
        new InMemory(DType.FLOAT32, change.rank(), change.columns(), a),
        new InMemory(DType.FLOAT32, change.rows(), change.rank(), b),
        (float) change.scale());
  }

  /**
   * With factors from files; the sums stay FLOAT32, as a forward has them.
   *
   * @param a [..., r, K]
   * @param b [..., N, r]
   */
  public static LowRankRows of(
      RowSource of, TensorFiles files, StoredTensor a, StoredTensor b, float scale) {
    return new LowRankRows(WidenedRows.of(of), rows(files, a), rows(files, b), scale);
  }

  private static RowSource rows(TensorFiles files, StoredTensor tensor) {
    long columns = tensor.shape()[tensor.shape().length - 1];
    long[] flat = {Tensor.count(tensor.shape()) / columns, columns};
    return StoredRows.of(
        files, new StoredTensor(tensor.name(), tensor.type(), flat, tensor.begin(), tensor.end()));
  }

  /** Sums are no codes any more. */
  @Override
  public boolean encoded() {
    return false;
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    of.read(row, rows, column, columns, into);
    try (Arena arena = Arena.ofConfined()) {
      if (dtype() == DType.FLOAT32) {
        add(row, rows, column, columns, into, arena);
        return;
      }
      MemorySegment wide = arena.allocate(ValueLayout.JAVA_FLOAT, rows * columns);
      StoredType.of(dtype()).decode(into.asSlice(0, dtype().bytes(rows * columns)), wide);
      add(row, rows, column, columns, wide, arena);
      for (long i = 0; i < rows * columns; i++) {
        short narrow = BFloat16.fromFloat(wide.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        into.setAtIndex(ValueLayout.JAVA_SHORT, i, narrow);
      }
    }
  }

  private void add(long row, long rows, long column, long columns, MemorySegment to, Arena arena) {
    long rank = b.columns();
    long each = b.rows() * rank / a.rows(); // N
    long first = row / each;
    long end = (row + rows - 1) / each + 1;
    MemorySegment right = arena.allocate(ValueLayout.JAVA_FLOAT, (end - first) * rank * columns);
    a.read(first * rank, (end - first) * rank, column, columns, right);
    MemorySegment left = arena.allocate(ValueLayout.JAVA_FLOAT, rows * rank);
    b.read(row, rows, 0, rank, left);
    for (long i = 0; i < rows; i++) {
      long matrix = (row + i) / each - first;
      for (long k = 0; k < rank; k++) {
        float factor = scale * left.getAtIndex(ValueLayout.JAVA_FLOAT, i * rank + k);
        long from = (matrix * rank + k) * columns;
        for (long j = 0; j < columns; j++) {
          float sum = to.getAtIndex(ValueLayout.JAVA_FLOAT, i * columns + j);
          sum += factor * right.getAtIndex(ValueLayout.JAVA_FLOAT, from + j);
          to.setAtIndex(ValueLayout.JAVA_FLOAT, i * columns + j, sum);
        }
      }
    }
  }
}
