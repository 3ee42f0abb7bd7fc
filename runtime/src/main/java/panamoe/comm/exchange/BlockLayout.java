package panamoe.comm.exchange;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.function.IntUnaryOperator;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import panamoe.comm.CollectiveCall;
import panamoe.tensor.Tensor;

/**
 * A layout transform: where each block of rows lies before and after it.
 *
 * @param rows of each block
 * @param before first row of each block before
 * @param after first row of each block after
 */
record BlockLayout(long[] rows, long[] before, long[] after) {

  /**
   * A permutation of contiguous blocks.
   *
   * @param rows of each block, in the order before
   * @param order for each place after the transform, the block's index before it
   */
  static BlockLayout of(long[] rows, IntUnaryOperator order) {
    long[] before = new long[rows.length];
    long[] after = new long[rows.length];
    long start = 0;
    for (int block = 0; block < rows.length; block++) {
      before[block] = start;
      start += rows[block];
    }
    start = 0;
    for (int i = 0; i < rows.length; i++) {
      int block = order.applyAsInt(i);
      after[block] = start;
      start += rows[block];
    }
    return new BlockLayout(rows, before, after);
  }

  /**
   * Every block is cut into one part per member. Before: the parts of one member are contiguous.
   * After: the parts of one block are.
   *
   * @param parts rows of each member's part of each block: [member][block]
   */
  static BlockLayout gather(long[][] parts) {
    int members = parts.length;
    int blocks = parts[0].length;
    long[] rows = Stream.of(parts).flatMapToLong(LongStream::of).toArray();
    return of(rows, i -> i % members * blocks + i / members);
  }

  /**
   * Extracts one member's parts (see {@link #gather}). Before: whole blocks. After: this member's
   * parts.
   */
  static BlockLayout drop(long[][] parts, int member) {
    long[] rows = parts[member];
    int first = member * rows.length;
    long[] before = Arrays.copyOfRange(gather(parts).after, first, first + rows.length);
    return new BlockLayout(rows, before, of(rows, i -> i).before);
  }

  /** The inverse transform. */
  BlockLayout inverse() {
    return new BlockLayout(rows, after, before);
  }

  void transform(Tensor from, Tensor to) {
    if (from.onHost()) {
      transformOnHost(from, to);
      return;
    }
    for (int block = 0; block < rows.length; block++) {
      if (rows[block] > 0) {
        to.rows(after[block], after[block] + rows[block])
            .copyFrom(from.rows(before[block], before[block] + rows[block]));
      }
    }
  }

  private void transformOnHost(Tensor from, Tensor to) {
    long rowBytes = CollectiveCall.rowBytes(from);
    MemorySegment source = from.data();
    MemorySegment target = to.data();
    for (int block = 0; block < rows.length; block++) {
      if (rows[block] > 0) {
        MemorySegment.copy(
            source,
            before[block] * rowBytes,
            target,
            after[block] * rowBytes,
            rows[block] * rowBytes);
      }
    }
  }
}
