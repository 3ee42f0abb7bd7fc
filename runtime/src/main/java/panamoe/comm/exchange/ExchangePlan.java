package panamoe.comm.exchange;

import java.util.function.Supplier;
import panamoe.comm.CollectiveCall;
import panamoe.io.Require;
import panamoe.tensor.Tensor;

/**
 * The row counts that the ranks agreed on in one {@link Exchange#plan}. Reusable in both
 * directions, if all ranks use it equally. The backward of one direction is the other direction.
 *
 * <p>Used by one thread at a time, and not after the exchange is closed.
 *
 * @param location in the model, for events; called at each use
 * @param strategy FLAT or HIERARCHICAL
 * @param rows R, the number of rows that this rank sends
 * @param received rows of each block that this rank receives, by source; equally many blocks from
 *     each rank
 * @param arrived R', the number of rows that this rank receives: the sum of {@link #received}
 */
public record ExchangePlan(
    Supplier<String> location,
    Strategy strategy,
    AllToAll allToAll,
    long rows,
    long[] received,
    long arrived) {
  @Override
  public long[] received() {
    return received.clone();
  }

  /**
   * Sends rows to their destinations: the dispatch.
   *
   * @param rows [R or more, ...] ordered by destination, then by block
   * @param arrived [R' or more, ...], receives the rows ordered by source, then by block; rows past
   *     R' are not written
   */
  public void forward(Tensor rows, Tensor arrived) {
    requireRows(rows, arrived);
    ExchangeEvent event = new ExchangeEvent();
    event.begin();
    allToAll.forward(rows, arrived);
    commit(event, "forward", this.rows, CollectiveCall.rowBytes(rows));
  }

  /**
   * Sends rows back to their sources: the combine. Arguments are those of {@link #forward}. If
   * experts are sliced, the {@code arrived} rows of the slices are summed.
   */
  public void reverse(Tensor arrived, Tensor rows) {
    requireRows(rows, arrived);
    ExchangeEvent event = new ExchangeEvent();
    event.begin();
    allToAll.reverse(arrived, rows);
    commit(event, "reverse", this.arrived, CollectiveCall.rowBytes(rows));
  }

  private void commit(ExchangeEvent event, String direction, long rows, long rowBytes) {
    if (event.shouldCommit()) {
      event.place = location.get();
      event.direction = direction;
      event.strategy = strategy.name();
      event.rows = rows;
      event.bytes = rows * rowBytes;
      event.commit();
    }
  }

  private void requireRows(Tensor rows, Tensor arrived) {
    if (rows.rank() == 0
        || rows.size(0) < this.rows
        || arrived.rank() == 0
        || arrived.size(0) < this.arrived) {
      throw Require.refusal(
          "the plan sends %s rows and gets %s, but the tensors are %s and %s",
          this.rows, this.arrived, rows, arrived);
    }
  }
}
