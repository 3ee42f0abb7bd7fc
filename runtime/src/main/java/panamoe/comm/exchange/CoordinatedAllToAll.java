package panamoe.comm.exchange;

import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.comm.CollectiveCall;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Workspace.Slot;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The parallelism-coordinated all-to-all (DeepSpeed-MoE §5.3), for rows that are replicated over a
 * tensor group. Each rank keeps its part of every block, exchanges it with the ranks that have its
 * place in their tensor groups, and the result is gathered over the tensor group. Parts may differ
 * by one row, so no size must be divisible.
 */
final class CoordinatedAllToAll implements AllToAll {
  private final Communicator tensor;
  private final AllToAll parts;
  private final Workspace workspace;
  private final boolean gathersArrivals;
  private final long[] sent;
  private final long[] received;

  /**
   * @param tensor the ranks that have the same rows
   * @param parts the all-to-all of this rank's part
   * @param gathersArrivals whether every rank of the tensor group gets all arriving rows instead of
   *     its part
   * @param sent rows of each block that is sent, by destination
   * @param received rows of each block that comes, by source
   */
  CoordinatedAllToAll(
      Communicator tensor,
      AllToAll parts,
      Workspace workspace,
      boolean gathersArrivals,
      long[] sent,
      long[] received) {
    this.tensor = tensor;
    this.parts = parts;
    this.workspace = workspace;
    this.gathersArrivals = gathersArrivals;
    this.sent = sent;
    this.received = received;
  }

  @Override
  public void forward(Tensor rows, Tensor arrived) {
    try (TensorScope scope = workspace.scope()) {
      Tensor part = drop(scope, sent, rows);
      if (gathersArrivals) {
        Tensor partArrived =
            workspace.take(scope, Slot.SHARE_ARRIVED, rows, partRows(received, tensor.rank()));
        parts.forward(part, partArrived);
        gather(scope, received, partArrived, arrived);
      } else {
        parts.forward(part, arrived);
      }
    }
  }

  @Override
  public void reverse(Tensor arrived, Tensor rows) {
    try (TensorScope scope = workspace.scope()) {
      Tensor part = gathersArrivals ? drop(scope, received, arrived) : arrived;
      Tensor partReturned =
          workspace.take(scope, Slot.SHARE_ARRIVED, rows, partRows(sent, tensor.rank()));
      parts.reverse(part, partReturned);
      gather(scope, sent, partReturned, rows);
    }
  }

  private Tensor drop(TensorScope scope, long[] counts, Tensor whole) {
    Tensor part = workspace.take(scope, Slot.SHARE, whole, partRows(counts, tensor.rank()));
    BlockLayout.drop(counts, tensor.size(), tensor.rank()).transform(whole, part);
    return part;
  }

  private void gather(TensorScope scope, long[] counts, Tensor part, Tensor whole) {
    long[] rows =
        IntStream.range(0, tensor.size()).mapToLong(member -> partRows(counts, member)).toArray();
    Tensor gathered = workspace.take(scope, Slot.GATHERED, whole, LongStream.of(rows).sum());
    tensor.allGather(part, gathered, rows);
    BlockLayout.gather(counts, tensor.size()).transform(gathered, whole);
  }

  private long partRows(long[] counts, int member) {
    return LongStream.of(counts)
        .map(count -> CollectiveCall.share(count, member, tensor.size()))
        .sum();
  }
}
