package panamoe.op;

import panamoe.comm.CollectiveCall;
import panamoe.parallel.ExpertPlacement;
import panamoe.tensor.Tensor;

/**
 * The rows that a rank sends, in two orders: by expert, as dispatch sorts them, and by place and of
 * one place by expert, as they travel. Without copies of experts the orders are the same.
 *
 * @param counts rows of each block, equally many blocks for each place
 * @param byExpert the first row of each block among the rows by expert
 */
record PlaceOrder(boolean same, long[] counts, long[] byExpert) {
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
    int[] copies = placement.copies();
    int[] copy = new int[copies.length];
    long[] next = new long[copies.length];
    int[] starts = offsets.toInts();
    for (int e = 0; e < next.length; e++) {
      next[e] = starts[e];
    }
    for (int place = 0; place < placement.held().size(); place++) {
      int block = place * blocks;
      for (int e : placement.held().get(place)) {
        long rows = starts[e + 1] - starts[e];
        int preferred = (copy[e]++ + source) % copies[e];
        counts[block] = CollectiveCall.share(rows, preferred, copies[e]);
        byExpert[block] = next[e];
        next[e] += counts[block];
        block++;
      }
    }
    return new PlaceOrder(!placement.copied(), counts, byExpert);
  }

  /** By place, in a tensor of its own unless it is the same. */
  Tensor byPlace(Pass pass, Tensor rows) {
    return same ? rows : reordered(pass, rows, false);
  }

  /** By expert; releases {@code rows} unless it is the same. */
  Tensor byExpert(Pass pass, Tensor rows) {
    if (same) {
      return rows;
    }
    Tensor byExpert = reordered(pass, rows, true);
    rows.release();
    return byExpert;
  }

  private Tensor reordered(Pass pass, Tensor from, boolean back) {
    Tensor to = pass.allocate(from.dtype(), from.shape());
    long place = 0;
    for (int block = 0; block < counts.length; block++) {
      long start = byExpert[block];
      long rows = counts[block];
      if (rows > 0) {
        Tensor sorted = (back ? to : from).rows(start, start + rows);
        Tensor placed = (back ? from : to).rows(place, place + rows);
        pass.backend().copy(back ? placed : sorted, back ? sorted : placed);
      }
      place += rows;
    }
    return to;
  }
}
