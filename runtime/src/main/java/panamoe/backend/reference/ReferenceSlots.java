package panamoe.backend.reference;

import java.util.Arrays;
import panamoe.backend.DispatchKernels;
import panamoe.backend.reference.Check.Kind;
import panamoe.tensor.Tensor;

/** Tables of an exchange of slots. */
interface ReferenceSlots extends DispatchKernels, ReferenceContext {

  @Override
  default void slotStarts(long rows, Tensor offsets, Tensor slots, Tensor starts) {
    launch(
        () -> {
          int experts = (int) offsets.count() - 1;
          int ranks = ranks(slots);
          int counts = Math.ceilDiv(experts, ranks);
          long capacity = capacity(slots, rows, counts);
          Check.offsets(offsets, Integer.MAX_VALUE);
          Check.tensor("starts", starts, Kind.INT32, experts + 1);
          int[] sent = offsets.toInts();
          for (int rank = 0; rank < ranks; rank++) {
            int first = rank * experts / ranks;
            int last = (rank + 1) * experts / ranks;
            int to = rank;
            Check.require(
                sent[last] - sent[first] <= capacity,
                "offsets send "
                    + (sent[last] - sent[first])
                    + " rows to rank "
                    + to
                    + ", slots has room for "
                    + capacity);
            for (int e = first; e < last; e++) {
              starts.setInt(e, (int) (rank * rows) + sent[e] - sent[first]);
              slots.setInt((rank + 1) * slots.size(1) - counts + e - first, sent[e + 1] - sent[e]);
            }
          }
          starts.setInt(experts, (int) (ranks * rows));
        });
  }

  @Override
  default void slotRoutes(
      long counts, Tensor slots, Tensor expert, Tensor position, Tensor offsets) {
    launch(
        () -> {
          int held = (int) offsets.count() - 1;
          int ranks = ranks(slots);
          int rows = (int) expert.size(0) / ranks;
          long capacity = capacity(slots, rows, counts);
          Check.require(
              counts >= held, "counts is " + counts + ", but offsets has " + held + " experts");
          int[] experts = new int[ranks * rows];
          int[] positions = new int[ranks * rows];
          Arrays.fill(experts, -1);
          Arrays.fill(positions, -1);
          int[] starts = new int[held + 1];
          int[] taken = new int[ranks];
          for (int e = 0; e < held; e++) {
            int place = 0;
            for (int rank = 0; rank < ranks; rank++) {
              int count = slots.getInt((rank + 1) * slots.size(1) - counts + e);
              Check.require(
                  count >= 0,
                  "the count of rank "
                      + rank
                      + " and expert "
                      + e
                      + " is "
                      + count
                      + ", expected 0 or more");
              Check.require(
                  taken[rank] + count <= capacity,
                  "slots has "
                      + (taken[rank] + count)
                      + " rows of rank "
                      + rank
                      + ", but room for "
                      + capacity);
              for (int j = 0; j < count; j++) {
                experts[rank * rows + taken[rank]] = e;
                positions[rank * rows + taken[rank]++] = place++;
              }
            }
            starts[e + 1] = starts[e] + place;
          }
          expert.set(experts);
          position.set(positions);
          offsets.set(starts);
        });
  }

  private static int ranks(Tensor slots) {
    Check.tensor("slots", slots, Kind.INT32, Check.ANY, Check.ANY);
    Check.require(slots.size(0) > 0, "slots has no rank");
    return (int) slots.size(0);
  }

  /** Rows of a message that may be taken. */
  private static long capacity(Tensor slots, long rows, long counts) {
    long words = slots.size(1);
    Check.require(
        rows > 0 && words % rows == 0,
        "slots has " + words + " words a rank, which are not " + rows + " rows");
    Check.require(
        counts <= words, "slots has " + words + " words a rank, too few for " + counts + " counts");
    return (words - counts) / (words / rows);
  }
}
