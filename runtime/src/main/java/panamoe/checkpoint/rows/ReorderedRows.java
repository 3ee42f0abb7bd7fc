package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.LongUnaryOperator;
import panamoe.checkpoint.RowSource;

/**
 * Rows in another order.
 *
 * @param place gives the row of {@code of} for a row
 */
public record ReorderedRows(RowSource of, LongUnaryOperator place) implements DerivedRows {
  /**
   * Reorders heads from rotary pairs (2i, 2i + 1), as in queries and keys of GGUF's llama, to (i, i
   * + D/2).
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

  /** Reorders heads from pairs (i, i + D/2) to (2i, 2i + 1). */
  public static ReorderedRows pairsOfHalves(RowSource of, int headSize) {
    long half = headSize / 2;
    return new ReorderedRows(
        of,
        row -> {
          long inHead = row % headSize;
          return row - inHead + inHead % 2 * half + inHead / 2;
        });
  }

  /** Interleaves the rows of both halves. */
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
