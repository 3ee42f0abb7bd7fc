package panamoe.op;

import panamoe.comm.CollectiveCall;
import panamoe.parallel.ExpertPlacement;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;

/**
 * The rows that a rank sends, in two orders: by expert, as dispatch sorts them, and by place and of
 * one place by expert, as they travel. Without copies of experts the orders are the same.
 *
 * @param toPlaces from the first order to the second; equally many blocks for each place
 */
record PlaceOrder(boolean same, RowBlocks toPlaces) {
  /**
   * The host reads the offsets: it tells other ranks, and sizes messages by what they tell.
   *
   * @param offsets INT32 [E + 1] of the rows by expert
   * @param source this rank's number among those with tokens of their own: where rows do not divide
   *     evenly, ranks prefer different copies
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

  /** By place, in a tensor of its own unless it is the same. */
  Tensor byPlace(Pass pass, Tensor rows) {
    return same ? rows : reordered(pass, rows, toPlaces);
  }

  /** By expert; releases {@code rows} unless it is the same. */
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
