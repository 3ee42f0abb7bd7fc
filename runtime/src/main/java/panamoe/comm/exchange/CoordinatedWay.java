package panamoe.comm.exchange;

import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.comm.Call;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Workspace.Slot;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Rows that all ranks of a tensor group have alike (DeepSpeed-MoE §5.3, parallelism-coordinated):
 * each drops all but its part of every block, sends that among the ranks of its own place in their
 * tensor groups, and what comes back is gathered over the tensor group. A part may be a row larger
 * than another: nothing must divide.
 */
final class CoordinatedWay implements Way {
  private final Communicator tensor;
  private final Way parts;
  private final Workspace workspace;
  private final boolean gathersArrivals;
  private final long[] sent;
  private final long[] received;

  /**
   * @param tensor the ranks that have the same rows
   * @param parts the way of this rank's part
   * @param gathersArrivals whether every rank of the tensor group is to get all rows that arrive,
   *     not its part
   * @param sent rows of each block that is sent, by destination
   * @param received rows of each block that comes, by source
   */
  CoordinatedWay(
      Communicator tensor,
      Way parts,
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
    return LongStream.of(counts).map(count -> Call.share(count, member, tensor.size())).sum();
  }
}
