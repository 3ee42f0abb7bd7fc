package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;

/**
 * Rows that came from several ranks for several experts, in two orders: by source, and of one
 * source by expert, as they travel; and by expert, and of one expert by source, as experts compute.
 * The host makes it: the counts come to it from the other ranks, a number for each rank and expert,
 * and it sizes memory and messages by them.
 *
 * @param toExperts the block of each source and expert, from the first order to the second
 * @param offsets INT32 [E + 1], the first row of each expert, and the end
 */
record ExpertOrder(RowBlocks toExperts, Tensor offsets) {
  /**
   * @param received rows of each block, by source; blocks past those of {@code experts} are empty
   * @param experts of this rank
   */
  static ExpertOrder of(Pass pass, long[] received, int ranks, int experts) {
    int blocks = received.length / ranks;
    long[] rows = new long[ranks * experts];
    long[] bySource = new long[rows.length];
    long[] byExpert = new long[rows.length];
    long row = 0;
    for (int i = 0; i < rows.length; i++) {
      rows[i] = received[i / experts * blocks + i % experts];
      bySource[i] = row;
      row += rows[i];
    }
    int[] starts = new int[experts + 1];
    row = 0;
    for (int e = 0; e < experts; e++) {
      for (int i = e; i < rows.length; i += experts) {
        byExpert[i] = row;
        row += rows[i];
      }
      starts[e + 1] = Math.toIntExact(row);
    }
    Tensor offsets = pass.allocate(DType.INT32, experts + 1).set(starts);
    return new ExpertOrder(new RowBlocks(bySource, byExpert, rows), offsets);
  }

  /** By expert; releases {@code bySource} unless it is the same. */
  Tensor byExpert(Pass pass, Tensor bySource) {
    if (oneExpert()) {
      return bySource;
    }
    Tensor byExpert = pass.allocate(bySource.dtype(), bySource.shape());
    pass.backend().copyBlocks(toExperts, bySource, byExpert);
    bySource.release();
    return byExpert;
  }

  /** By source, in a tensor of its own unless it is the same. */
  Tensor bySource(Pass pass, Tensor byExpert) {
    if (oneExpert()) {
      return byExpert;
    }
    Tensor bySource = pass.allocate(byExpert.dtype(), byExpert.shape());
    pass.backend().copyBlocks(toExperts.inverse(), byExpert, bySource);
    return bySource;
  }

  private boolean oneExpert() {
    return offsets.count() == 2;
  }
}
