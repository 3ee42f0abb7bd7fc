package panamoe.comm.exchange;

import java.util.function.Supplier;
import panamoe.comm.CollectiveCall;
import panamoe.io.Require;
import panamoe.tensor.Tensor;

/**
 * The row counts that the ranks agreed on in one {@link Exchange#plan}. It may be used any number
 * of times in both directions, by all ranks alike. The backward of one direction is the other
 * direction.
 *
 * <p>Used by one thread at a time, and not after the exchange is closed.
 */
public final class ExchangePlan {
  private final Supplier<String> place;
  private final Strategy strategy;
  private final AllToAll allToAll;
  private final long sent;
  private final long[] received;
  private final long arrived;

  /**
   * @param place where in the model it is used; called at each use
   */
  ExchangePlan(
      Supplier<String> place,
      Strategy strategy,
      AllToAll allToAll,
      long sent,
      long[] received,
      long arrived) {
    this.place = place;
    this.strategy = strategy;
    this.allToAll = allToAll;
    this.sent = sent;
    this.received = received;
    this.arrived = arrived;
  }

  /** The strategy of this plan: FLAT or HIERARCHICAL. */
  public Strategy strategy() {
    return strategy;
  }

  /** Rows of each block that this rank receives, by source; equally many blocks from each rank. */
  public long[] received() {
    return received.clone();
  }

  /** R, the number of rows that this rank sends. */
  public long rows() {
    return sent;
  }

  /** R', the number of rows that this rank receives: the sum of {@link #received}. */
  public long arrived() {
    return arrived;
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
    commit(event, "forward", sent, CollectiveCall.rowBytes(rows));
  }

  /**
   * Sends rows back to their sources: the combine. Arguments as in {@link #forward}; where experts
   * are sliced, each slice's {@code arrived} is a term of what goes back.
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
      event.place = place.get();
      event.direction = direction;
      event.strategy = strategy.name();
      event.rows = rows;
      event.bytes = rows * rowBytes;
      event.commit();
    }
  }

  private void requireRows(Tensor rows, Tensor arrived) {
    if (rows.rank() == 0
        || rows.size(0) < sent
        || arrived.rank() == 0
        || arrived.size(0) < this.arrived) {
      throw Require.refusal(
          "the plan sends %s rows and gets %s, but the tensors are %s and %s",
          sent, this.arrived, rows, arrived);
    }
  }
}
