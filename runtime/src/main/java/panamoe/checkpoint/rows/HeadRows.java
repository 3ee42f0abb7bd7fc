package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.RowSource;
import panamoe.io.Require;

/**
 * A stack with a head's matrix in each row: some rows of each head of a matrix [H * D, K].
 *
 * @param of [H * D, K]
 * @param heads H
 * @param first of a head's D rows
 * @param count of rows
 * @param transposed whether a head's matrix is [K, count], not [count, K]
 */
public record HeadRows(RowSource of, long heads, long first, long count, boolean transposed)
    implements DerivedRows {
  public HeadRows {
    if (of.rows() % heads != 0 || first < 0 || first + count > of.rows() / heads) {
      throw new CheckpointException(
          "%s rows of %s heads do not hold %s of each from its row %s on",
          of.rows(), heads, count, first);
    }
  }

  @Override
  public long rows() {
    return heads;
  }

  @Override
  public long columns() {
    return count * of.columns();
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    Require.that(column == 0 && columns == columns(), "the matrices of heads are read whole");
    RowSource lines = transposed ? new TransposedRows(of) : of;
    long bytes = dtype().bytes(columns);
    for (long i = 0; i < rows; i++) {
      long from = (row + i) * (of.rows() / heads) + first;
      MemorySegment matrix = into.asSlice(i * bytes, bytes);
      if (transposed) {
        lines.read(0, of.columns(), from, count, matrix);
      } else {
        lines.read(from, count, 0, of.columns(), matrix);
      }
    }
  }

  @Override
  public Optional<RowSource> inBlocks() {
    return transposed
        ? Optional.empty()
        : of.inBlocks().map(blocks -> new HeadRows(blocks, heads, first, count, false));
  }
}
