package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.LongUnaryOperator;
import panamoe.checkpoint.RowSource;

/**
 * Rows in another order.
 *
 * @param place which row of {@code of} a row is
 */
public record ReorderedRows(RowSource of, LongUnaryOperator place) implements RowsOf {
  /**
   * Heads whose rotary pairs are (i, i + D/2), of heads where they are stored as (2i, 2i + 1), as
   * GGUF's llama has queries and keys.
   *
   * @param headSize D
   */
  public static ReorderedRows halvesOfPairs(RowSource of, int headSize) {
    long half = headSize / 2;
    return new ReorderedRows(
        of,
        row -> {
          long inHead = row % headSize;
          return row - inHead + inHead % half * 2 + inHead / half;
        });
  }

  /** The other way: heads to be stored with pairs (2i, 2i + 1). */
  public static ReorderedRows pairsOfHalves(RowSource of, int headSize) {
    long half = headSize / 2;
    return new ReorderedRows(
        of,
        row -> {
          long inHead = row % headSize;
          return row - inHead + inHead % 2 * half + inHead / 2;
        });
  }

  /** Rows of the first half and of the second in turn. */
  public static ReorderedRows interleaved(RowSource of) {
    long half = of.rows() / 2;
    return new ReorderedRows(of, row -> row % 2 * half + row / 2);
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    long rowBytes = dtype().bytes(columns);
    for (long i = 0; i < rows; i++) {
      long stored = place.applyAsLong(row + i);
      of.read(stored, 1, column, columns, into.asSlice(i * rowBytes, rowBytes));
    }
  }

  @Override
  public Optional<RowSource> inBlocks() {
    return of.inBlocks().map(blocks -> new ReorderedRows(blocks, place));
  }
}
