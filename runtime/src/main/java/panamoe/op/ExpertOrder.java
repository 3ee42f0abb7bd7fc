package panamoe.op;

import panamoe.tensor.DType;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;

/**
 * Two orders of rows from several ranks for several experts: by source and then expert, as rows are
 * sent; and by expert and then source, as experts compute. The host makes it from the other ranks'
 * counts for each expert, which also size memory and messages.
 *
 * @param toExperts moves the block of each source and expert from the first order to the second
 * @param offsets INT32 [E + 1], the first row of each expert, and the number of rows
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

  /** The rows by expert; releases {@code bySource} unless it is returned. */
  Tensor byExpert(Pass pass, Tensor bySource) {
    if (oneExpert()) {
      return bySource;
    }
    Tensor byExpert = pass.allocate(bySource.dtype(), bySource.shape());
    pass.backend().copyBlocks(toExperts, bySource, byExpert);
    bySource.release();
    return byExpert;
  }

  /** The rows by source, in a new tensor unless the orders are equal. */
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
