package panamoe.comm.exchange;

import java.util.Arrays;
import java.util.function.IntUnaryOperator;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import panamoe.tensor.RowBlocks;

/** A layout transform of an exchange: rearranges contiguous blocks of rows. */
final class BlockLayout {
  private BlockLayout() {}

  /**
   * A permutation of contiguous blocks.
   *
   * @param rows of each block, in the order before the transform
   * @param order for each position after the transform, the block's index before it
   */
  static RowBlocks of(long[] rows, IntUnaryOperator order) {
    long[] after = new long[rows.length];
    long start = 0;
    for (int i = 0; i < rows.length; i++) {
      int block = order.applyAsInt(i);
      after[block] = start;
      start += rows[block];
    }
    return new RowBlocks(starts(rows), after, rows);
  }

  /**
   * Every block is cut into one part per member. Before: the parts of one member are contiguous.
   * After: the parts of one block are.
   *
   * @param parts rows of each member's part of each block: [member][block]
   */
  static RowBlocks gather(long[][] parts) {
    int members = parts.length;
    int blocks = parts[0].length;
    long[] rows = Stream.of(parts).flatMapToLong(LongStream::of).toArray();
    return of(rows, i -> i % members * blocks + i / members);
  }

  /**
   * Extracts one member's parts (see {@link #gather}). Before: whole blocks. After: this member's
   * parts.
   */
  static RowBlocks drop(long[][] parts, int member) {
    long[] rows = parts[member];
    int first = member * rows.length;
    long[] before = Arrays.copyOfRange(gather(parts).to(), first, first + rows.length);
    return new RowBlocks(before, starts(rows), rows);
  }

  private static long[] starts(long[] rows) {
    long[] starts = new long[rows.length];
    for (int i = 1; i < rows.length; i++) {
      starts[i] = starts[i - 1] + rows[i - 1];
    }
    return starts;
  }
}
