package panamoe.op;

import java.util.Arrays;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Rows that came from several ranks for several experts, in two orders: by source, and of one
 * source by expert, as they travel; and by expert, and of one expert by source, as experts compute.
 * The host makes it: the counts come to it from the other ranks, a number for each rank and expert,
 * and it sizes memory and messages by them.
 *
 * @param arrivals rows from each rank for each of this rank's experts: [source][expert]
 * @param offsets INT32 [E + 1], the first row of each expert, and the end
 * @param starts the same on the host
 */
record ExpertOrder(long[][] arrivals, Tensor offsets, int[] starts) {
  /**
   * @param received rows of each block, by source; blocks past those of {@code experts} are empty
   * @param experts of this rank
   */
  static ExpertOrder of(Pass pass, long[] received, int ranks, int experts) {
    int blocks = received.length / ranks;
    long[][] arrivals = new long[ranks][];
    for (int rank = 0; rank < ranks; rank++) {
      arrivals[rank] = Arrays.copyOfRange(received, rank * blocks, rank * blocks + experts);
    }
    int[] starts = new int[experts + 1];
    int row = 0;
    for (int e = 0; e < experts; e++) {
      for (long[] fromOne : arrivals) {
        row = Math.addExact(row, Math.toIntExact(fromOne[e]));
      }
      starts[e + 1] = row;
    }
    Tensor offsets = pass.allocate(DType.INT32, experts + 1).set(starts);
    return new ExpertOrder(arrivals, offsets, starts);
  }

  /** By expert; releases {@code bySource} unless it is the same. */
  Tensor byExpert(Pass pass, Tensor bySource) {
    if (oneExpert()) {
      return bySource;
    }
    Tensor byExpert = pass.allocate(bySource.dtype(), bySource.shape());
    eachBlock(
        (source, expert, count) ->
            pass.backend()
                .copy(
                    bySource.rows(source, source + count), byExpert.rows(expert, expert + count)));
    bySource.release();
    return byExpert;
  }

  /** By source, in a tensor of its own unless it is the same. */
  Tensor bySource(Pass pass, Tensor byExpert) {
    if (oneExpert()) {
      return byExpert;
    }
    Tensor bySource = pass.allocate(byExpert.dtype(), byExpert.shape());
    eachBlock(
        (source, expert, count) ->
            pass.backend()
                .copy(
                    byExpert.rows(expert, expert + count), bySource.rows(source, source + count)));
    return bySource;
  }

  private boolean oneExpert() {
    return offsets.count() == 2;
  }

  /**
   * A run of rows of one expert from one rank: where it starts among the rows by source, and among
   * those by expert.
   */
  private interface Block {
    void at(long bySource, long byExpert, long count);
  }

  private void eachBlock(Block block) {
    long[] next = new long[arrivals[0].length];
    Arrays.setAll(next, e -> starts[e]);
    long bySource = 0;
    for (long[] fromOne : arrivals) {
      for (int e = 0; e < fromOne.length; e++) {
        if (fromOne[e] > 0) {
          block.at(bySource, next[e], fromOne[e]);
        }
        bySource += fromOne[e];
        next[e] += fromOne[e];
      }
    }
  }
}
