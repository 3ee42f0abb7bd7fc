package panamoe.comm.exchange;

import java.util.stream.LongStream;
import java.util.stream.Stream;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Workspace.Slot;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The parallelism-coordinated all-to-all (DeepSpeed-MoE §5.3), for rows that are replicated over a
 * tensor group. Each rank sends its part of every block to ranks with its slice index. The ranks
 * that slice the same experts gather the parts that arrived; on the way back they sum their terms
 * of each part. The result is gathered over the tensor group. Parts may differ by one row, so no
 * size needs to be divisible.
 *
 * @param tensor the ranks that have the same rows
 * @param slices the ranks of {@code tensor} that slice the same experts
 * @param parts the all-to-all of this rank's part
 * @param sent rows of each tensor rank's part of each outgoing block, by destination
 * @param received rows of each slice's part of each incoming block, by source
 */
record CoordinatedAllToAll(
    Communicator tensor,
    Communicator slices,
    AllToAll parts,
    Workspace workspace,
    long[][] sent,
    long[][] received)
    implements AllToAll {
  @Override
  public void forward(Tensor rows, Tensor arrived) {
    try (TensorScope scope = workspace.scope()) {
      long[] mine = sent[tensor.rank()];
      Tensor part = workspace.take(scope, Slot.SHARE, rows, sum(mine));
      workspace.copy(BlockLayout.drop(sent, tensor.rank()), rows, part);
      if (slices.size() == 1) {
        parts.forward(part, arrived);
      } else {
        long count = sum(received[slices.rank()]);
        Tensor partArrived = workspace.take(scope, Slot.SHARE_ARRIVED, rows, count);
        parts.forward(part, partArrived);
        gather(scope, slices, received, partArrived, arrived);
      }
    }
  }

  @Override
  public void reverse(Tensor arrived, Tensor rows) {
    try (TensorScope scope = workspace.scope()) {
      Tensor part = slices.size() == 1 ? arrived : summed(scope, arrived);
      long count = sum(sent[tensor.rank()]);
      Tensor partReturned = workspace.take(scope, Slot.SHARE_ARRIVED, rows, count);
      parts.reverse(part, partReturned);
      gather(scope, tensor, sent, partReturned, rows);
    }
  }

  /** This slice's part of the sum over the slices: the inverse of {@link #gather}. */
  private Tensor summed(TensorScope scope, Tensor terms) {
    long[] counts = sums(received);
    Tensor byMember = workspace.take(scope, Slot.GATHERED, terms, sum(counts));
    workspace.copy(BlockLayout.gather(received).inverse(), terms, byMember);
    Tensor part = workspace.take(scope, Slot.SHARE, terms, counts[slices.rank()]);
    slices.reduceScatter(byMember, part, counts);
    return part;
  }

  private void gather(
      TensorScope scope, Communicator members, long[][] parts, Tensor part, Tensor whole) {
    long[] counts = sums(parts);
    Tensor gathered = workspace.take(scope, Slot.GATHERED, whole, sum(counts));
    members.allGather(part, gathered, counts);
    workspace.copy(BlockLayout.gather(parts), gathered, whole);
  }

  private static long[] sums(long[][] parts) {
    return Stream.of(parts).mapToLong(CoordinatedAllToAll::sum).toArray();
  }

  private static long sum(long[] rows) {
    return LongStream.of(rows).sum();
  }
}
