package panamoe.op;

import panamoe.comm.CollectiveCall;
import panamoe.parallel.ExpertPlacement;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;

/**
 * Two orders of the rows that a rank sends: by expert, as dispatch sorts them, and by place (a copy
 * of some experts) and then expert, as they are sent. Without copies of experts the orders are
 * equal.
 *
 * @param toPlaces from the first order to the second; equally many blocks for each place
 */
record PlaceOrder(boolean same, RowBlocks toPlaces) {
  /**
   * Reads the offsets on the host, which sends the counts to other ranks.
   *
   * @param offsets INT32 [E + 1] of the rows by expert
   * @param source this rank's index among the ranks with own tokens: if rows do not divide evenly,
   *     ranks prefer different copies
   */
  static PlaceOrder of(Tensor offsets, ExpertPlacement placement, int source) {
    int blocks = placement.most();
    long[] counts = new long[placement.held().size() * blocks];
    long[] byExpert = new long[counts.length];
    long[] byPlace = new long[counts.length];
    int[] copies = placement.copies();
    int[] copy = new int[copies.length];
    long[] next = new long[copies.length];
    int[] starts = offsets.toInts();
    for (int e = 0; e < next.length; e++) {
      next[e] = starts[e];
    }
    long row = 0;
    for (int place = 0; place < placement.held().size(); place++) {
      int block = place * blocks;
      for (int e : placement.held().get(place)) {
        long rows = starts[e + 1] - starts[e];
        int preferred = (copy[e]++ + source) % copies[e];
        counts[block] = CollectiveCall.share(rows, preferred, copies[e]);
        byExpert[block] = next[e];
        byPlace[block] = row;
        next[e] += counts[block];
        row += counts[block];
        block++;
      }
    }
    return new PlaceOrder(!placement.copied(), new RowBlocks(byExpert, byPlace, counts));
  }

  /** Rows of each block. */
  long[] counts() {
    return toPlaces.rows();
  }

  /** The rows by place, in a new tensor unless the orders are equal. */
  Tensor byPlace(Pass pass, Tensor rows) {
    return same ? rows : reordered(pass, rows, toPlaces);
  }

  /** The rows by expert; releases {@code rows} unless it is returned. */
  Tensor byExpert(Pass pass, Tensor rows) {
    if (same) {
      return rows;
    }
    Tensor byExpert = reordered(pass, rows, toPlaces.inverse());
    rows.release();
    return byExpert;
  }

  private static Tensor reordered(Pass pass, Tensor from, RowBlocks blocks) {
    Tensor to = pass.allocate(from.dtype(), from.shape());
    pass.backend().copyBlocks(blocks, from, to);
    return to;
  }
}
