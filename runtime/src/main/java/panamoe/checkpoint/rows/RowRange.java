package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import panamoe.checkpoint.RowSource;

/**
 * A range of rows.
 *
 * @param first among the rows of {@code of}
 */
public record RowRange(RowSource of, long first, long rows) implements DerivedRows {
  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    of.read(first + row, rows, column, columns, into);
  }

  @Override
  public Optional<RowSource> inBlocks() {
    return of.inBlocks().map(blocks -> new RowRange(blocks, first, rows));
  }
}
