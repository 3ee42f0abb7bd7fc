package panamoe.comm.exchange;

import java.util.function.Supplier;
import panamoe.comm.Call;
import panamoe.tensor.Tensor;

/**
 * What one {@link Exchange#plan} agreed on: how many rows go where. It may be used any number of
 * times, in both directions; every rank of the exchange does the same. The backward of either
 * direction is the other.
 *
 * <p>Used by one thread at a time, and not after the exchange is closed.
 */
public final class Plan {
  private final Supplier<String> place;
  private final Strategy strategy;
  private final Way way;
  private final long sent;
  private final long[] received;
  private final long arrived;

  /**
   * @param place where in the model it is used, asked at each use
   */
  Plan(
      Supplier<String> place,
      Strategy strategy,
      Way way,
      long sent,
      long[] received,
      long arrived) {
    this.place = place;
    this.strategy = strategy;
    this.way = way;
    this.sent = sent;
    this.received = received;
    this.arrived = arrived;
  }

  /** FLAT or HIERARCHICAL. */
  public Strategy strategy() {
    return strategy;
  }

  /**
   * Rows of each block that comes to this rank, by source: as many blocks from each rank as it
   * sends to each.
   */
  public long[] received() {
    return received.clone();
  }

  /** R, all rows that this rank sends. */
  public long rows() {
    return sent;
  }

  /** R', all rows that come: the sum of {@link #received}. */
  public long arrived() {
    return arrived;
  }

  /**
   * Sends rows to where the plan says: the dispatch.
   *
   * @param rows [R or more, ...] by destination, and for one destination by block
   * @param arrived [R' or more, ...] by source, and of one source by block; rows past R' are left
   *     as they are
   */
  public void forward(Tensor rows, Tensor arrived) {
    requireRows(rows, arrived);
    ExchangeEvent event = new ExchangeEvent();
    event.begin();
    way.forward(rows, arrived);
    commit(event, "forward", sent, Call.rowBytes(rows));
  }

  /** Sends rows back to where they came from: the combine. As {@link #forward}, the other way. */
  public void reverse(Tensor arrived, Tensor rows) {
    requireRows(rows, arrived);
    ExchangeEvent event = new ExchangeEvent();
    event.begin();
    way.reverse(arrived, rows);
    commit(event, "reverse", this.arrived, Call.rowBytes(rows));
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
      throw new IllegalArgumentException(
          "the plan sends "
              + sent
              + " rows and gets "
              + this.arrived
              + ", but the tensors are "
              + rows
              + " and "
              + arrived);
    }
  }
}
