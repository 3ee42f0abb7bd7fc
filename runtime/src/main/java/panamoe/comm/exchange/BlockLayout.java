package panamoe.comm.exchange;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.function.IntUnaryOperator;
import panamoe.comm.Call;
import panamoe.tensor.Tensor;

/**
 * A layout transform: where each block of rows lies before and after it. The memory is the host's.
 *
 * @param rows of each block
 * @param before first row of each block before
 * @param after first row of each block after
 */
record BlockLayout(long[] rows, long[] before, long[] after) {

  /**
   * Blocks that lie behind each other before and after.
   *
   * @param rows of each block, in the order before
   * @param order the block that comes i-th after
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
   * Every block cut evenly into parts; before, the parts of one member lie together, after, those
   * of one block.
   *
   * @param counts rows of each block
   */
  static BlockLayout gather(long[] counts, int members) {
    long[] rows = new long[members * counts.length];
    for (int part = 0; part < rows.length; part++) {
      rows[part] = Call.share(counts[part % counts.length], part / counts.length, members);
    }
    return of(rows, i -> i % members * counts.length + i / members);
  }

  /**
   * Only the parts of one member of {@link #gather}, taken out: whole blocks before, its parts
   * after.
   */
  static BlockLayout drop(long[] counts, int members, int member) {
    BlockLayout all = gather(counts, members);
    int first = member * counts.length;
    long[] rows = Arrays.copyOfRange(all.rows, first, first + counts.length);
    long[] before = Arrays.copyOfRange(all.after, first, first + counts.length);
    return new BlockLayout(rows, before, of(rows, i -> i).before);
  }

  /** The way back. */
  BlockLayout inverse() {
    return new BlockLayout(rows, after, before);
  }

  void transform(Tensor from, Tensor to) {
    long rowBytes = Call.rowBytes(from);
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
