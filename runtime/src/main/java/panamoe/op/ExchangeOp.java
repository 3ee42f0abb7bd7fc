package panamoe.op;

import java.util.Arrays;
import panamoe.backend.Routes;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.Plan;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * The way of a layer's rows to the ranks that hold their experts, and back: an uneven all-to-all of exactly the kept
 * routes. The backward of each direction is the other.
 *
 * <p>On arrival rows are grouped by this rank's experts, and within an expert by the rank they came from.
 */
public final class ExchangeOp {
  private final Exchange exchange;
  private final Plan plan;
  private final String place;
  private final long[][] arrivals;
  private final Tensor offsets;

  private ExchangeOp(Exchange exchange, Plan plan, String place, long[][] arrivals, Tensor offsets) {
    this.exchange = exchange;
    this.plan = plan;
    this.place = place;
    this.arrivals = arrivals;
    this.offsets = offsets;
  }

  /**
   * Tells every rank of the group how many rows its experts will get.
   *
   * @param rowBytes bytes of a row
   * @param place where in the model this is, for messages
   */
  public static ExchangeOp plan(
      Pass pass, Routes routes, Exchange exchange, ExpertGroups experts, long rowBytes, String place) {
    pass.backend().synchronize();
    int ranks = experts.group().size();
    // Ranks may hold different numbers of experts; the plan has as many blocks for each.
    int blocks = 0;
    for (int rank = 0; rank < ranks; rank++) {
      blocks = Math.max(blocks, experts.first(rank + 1) - experts.first(rank));
    }
    long[] counts = new long[ranks * blocks];
    for (int rank = 0; rank < ranks; rank++) {
      for (int e = experts.first(rank); e < experts.first(rank + 1); e++) {
        counts[rank * blocks + e - experts.first(rank)] = routes.offsets().getInt(e + 1) - routes.offsets().getInt(e);
      }
    }
    exchange.at(place + " counts");
    Plan plan = exchange.plan(counts, rowBytes);
    long[] arriving = plan.received();
    long[][] arrivals = new long[ranks][experts.count()];
    Tensor offsets = pass.allocate(DType.INT32, experts.count() + 1);
    int row = 0;
    offsets.setInt(0, 0);
    for (int e = 0; e < experts.count(); e++) {
      for (int rank = 0; rank < ranks; rank++) {
        arrivals[rank][e] = arriving[rank * blocks + e];
        row = Math.addExact(row, Math.toIntExact(arrivals[rank][e]));
      }
      offsets.setInt(e + 1, row);
    }
    return new ExchangeOp(exchange, plan, place, arrivals, offsets);
  }

  /** INT32 [E' + 1], the first row of each of this rank's E' experts. */
  public Tensor offsets() {
    return offsets;
  }

  /**
   * @param rows [R, M] grouped by expert, of all the layer's experts
   * @return [R', M], what has come for this rank's experts
   */
  public Tensor toExperts(Pass pass, Tensor rows) {
    Tensor arrived = deliver(pass, rows, "dispatch");
    if (pass.recording()) {
      pass.tape()
          .record(
              () -> {
                Tensor darrived = pass.tape().takeGradient(arrived);
                pass.tape().addGradient(rows, giveBack(pass, darrived, rows.size(0), "dispatch backward"));
                darrived.owner().release();
              },
              arrived);
    }
    return arrived;
  }

  /**
   * @param outputs [R', M], a row for each that has come
   * @param rows R of the tensor that was sent
   * @return [R, M]; rows past the kept routes are undefined
   */
  public Tensor fromExperts(Pass pass, Tensor outputs, long rows) {
    Tensor returned = giveBack(pass, outputs, rows, "combine");
    if (pass.recording()) {
      pass.tape()
          .record(
              () -> {
                Tensor dreturned = pass.tape().takeGradient(returned);
                pass.tape().addGradient(outputs, deliver(pass, dreturned, "combine backward"));
                dreturned.owner().release();
              },
              returned);
    }
    return returned;
  }

  private Tensor deliver(Pass pass, Tensor rows, String step) {
    Tensor bySource = pass.allocate(rows.dtype(), plan.arrived(), rows.size(1));
    pass.backend().synchronize();
    exchange.at(place + " " + step);
    plan.forward(rows, bySource);
    if (offsets.count() == 2) {
      return bySource;
    }
    Tensor byExpert = pass.allocate(rows.dtype(), bySource.shape());
    eachBlock((source, expert, count) -> pass.backend().copy(
        bySource.rows(source, source + count), byExpert.rows(expert, expert + count)));
    bySource.release();
    return byExpert;
  }

  private Tensor giveBack(Pass pass, Tensor byExpert, long rows, String step) {
    Tensor bySource = byExpert;
    if (offsets.count() > 2) {
      Tensor sorted = pass.allocate(byExpert.dtype(), byExpert.shape());
      eachBlock((source, expert, count) -> pass.backend().copy(
          byExpert.rows(expert, expert + count), sorted.rows(source, source + count)));
      bySource = sorted;
    }
    Tensor returned = pass.allocate(byExpert.dtype(), rows, byExpert.size(1));
    pass.backend().synchronize();
    exchange.at(place + " " + step);
    plan.reverse(bySource, returned);
    if (bySource != byExpert) {
      bySource.release();
    }
    return returned;
  }

  /** A run of rows of one expert from one rank: where it starts among the rows by source, and among those by expert. */
  private interface Block {
    void at(long bySource, long byExpert, long count);
  }

  private void eachBlock(Block block) {
    long[] next = new long[arrivals[0].length];
    Arrays.setAll(next, offsets::getInt);
    long bySource = 0;
    for (long[] fromOne : arrivals) {
      for (int e = 0; e < fromOne.length; e++) {
        if (fromOne[e] > 0) {
          block.at(bySource, next[e], fromOne[e]);
        }
        bySource += fromOne[e];
        next[e] += fromOne[e];
      }
    }
  }
}
