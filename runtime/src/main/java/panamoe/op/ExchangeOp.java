package panamoe.op;

import java.util.ArrayList;
import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.Routes;
import panamoe.comm.exchange.Background;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.comm.exchange.Parts;
import panamoe.parallel.Ranks;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.tensor.Tensor;

/**
 * Sends a layer's rows to the ranks that hold their experts, and the experts' outputs back: an
 * uneven all-to-all of exactly the kept routes. Each direction is the other's backward.
 *
 * <p>Rows are sent in {@link Ranks#overlap} parts. Work between {@link #start} and {@link #through}
 * overlaps the first part; experts compute a part while the next one arrives and the previous one
 * returns. The backward starts with the last part.
 *
 * <p>A part that has arrived is grouped by this rank's experts, and within an expert by source
 * rank.
 */
public final class ExchangeOp {
  /** The experts of this rank. */
  @FunctionalInterface
  public interface Experts {
    /** [R, M], grouped by expert, with offsets INT32 [E + 1] to [R, M]. */
    Tensor forward(Pass pass, Tensor rows, Tensor offsets);
  }

  /** Rows in transfer to {@code target}. */
  private final class Travelling {
    private final Tensor target;
    private final Tensor spent;
    private final Background.Pending pending;
    private long given; // a mark of the stream that transfers them

    /**
     * @param spent a tensor to release once they have arrived, or null
     */
    Travelling(Tensor target, Tensor spent, String step, Runnable communication) {
      this.target = target;
      this.spent = spent;
      long computed = mark(pass.backend());
      this.pending =
          background.start(
              () -> {
                stream.waitFor(pass.backend(), computed);
                exchange.at(place + " " + step);
                communication.run();
                given = mark(stream);
              });
      pass.scope().inUseUntil(this::settle);
    }

    Tensor arrived() {
      pending.await();
      pass.backend().waitFor(stream, given);
      if (spent != null) {
        spent.release();
      }
      return target;
    }

    private void settle() {
      pending.settle();
      if (given > 0) {
        pass.backend().waitFor(stream, given);
      }
    }

    private long mark(Backend of) {
      return stream == pass.backend() ? 0 : of.mark();
    }
  }

  private final Pass pass;
  private final Background background;
  private final Exchange exchange;
  private final Backend stream; // of the exchange: the pass's backend, or a second stream
  private final String place;
  private final Tensor rows;
  private final PlaceOrder placed;
  private final Parts parts;
  private final List<ExchangePlan> plans;
  private final List<ExpertOrder> orders = new ArrayList<>();
  private final List<Travelling> dispatched = new ArrayList<>();
  private final Travelling[] outputGradients;
  private final Travelling[] rowGradients;
  private Tensor rowGradientParts;

  private ExchangeOp(
      Pass pass, Ranks ranks, Exchange exchange, String place, Tensor rows, PlaceOrder placed) {
    int number = ranks.overlap().parts();
    this.pass = pass;
    this.background = ranks.background();
    this.exchange = exchange;
    this.stream = ranks.exchangeStream(pass.backend());
    this.place = place;
    this.rows = placed.byPlace(pass, rows);
    this.placed = placed;
    this.parts = new Parts(placed.counts(), number);
    exchange.at(place + " counts");
    this.plans = exchange.plan(placed.counts(), rows.size(1) * rows.dtype().bytes(), number);
    this.outputGradients = new Travelling[number];
    this.rowGradients = new Travelling[number];
  }

  /**
   * Sends every rank of the group the number of rows for its experts, and then the rows.
   *
   * @param rows [R, M] grouped by expert, over all the layer's experts; rows past the kept routes
   *     are not sent
   * @param place of the layer in the model, for messages
   */
  public static ExchangeOp start(
      Pass pass, Routes routes, Tensor rows, Ranks ranks, ExpertGroups experts, String place) {
    int source = ranks.topology().data(ranks.world().rank());
    PlaceOrder placed = PlaceOrder.of(routes.offsets(), experts.placement(), source);
    Exchange exchange = ranks.exchange(experts, pass.backend());
    ExchangeOp op = new ExchangeOp(pass, ranks, exchange, place, rows, placed);
    for (ExchangePlan plan : op.plans) {
      op.orders.add(
          ExpertOrder.of(pass, plan.received(), experts.group().size(), experts.held().size()));
    }
    op.dispatch();
    return op;
  }

  private void dispatch() {
    pass.record(this::takeRowGradients);
    Tensor cut = cut(rows);
    List<Tensor> each = parts.of(cut);
    for (int part = 0; part < plans.size(); part++) {
      boolean last = part == plans.size() - 1;
      dispatched.add(deliver(part, each.get(part), "dispatch", last && cut != rows ? cut : null));
    }
  }

  /**
   * Computes the rows that arrive by this rank's experts, and sends the outputs back.
   *
   * @return [R, M], a row for each sent row; rows past the kept routes are undefined
   */
  public Tensor through(Experts experts) {
    Tensor returned = partsLike(rows);
    List<Tensor> each = parts.of(returned);
    List<Travelling> back = new ArrayList<>();
    for (int part = 0; part < plans.size(); part++) {
      int number = part;
      ExpertOrder order = orders.get(part);
      Tensor arrived = order.byExpert(pass, dispatched.get(part).arrived());
      pass.record(() -> sendRowGradients(number, arrived), arrived);
      Tensor outputs =
          ComputeEvent.around(
              pass, place + " experts", () -> experts.forward(pass, arrived, order.offsets()));
      pass.record(() -> takeOutputGradients(number, outputs));
      Tensor bySource = order.bySource(pass, outputs);
      back.add(
          giveBack(
              part, bySource, each.get(part), "combine", bySource == outputs ? null : bySource));
    }
    back.forEach(Travelling::arrived);
    Tensor whole = placed.byExpert(pass, join(returned));
    pass.record(() -> sendOutputGradients(whole), whole);
    return whole;
  }

  private void sendOutputGradients(Tensor whole) {
    Tensor gradients = pass.tape().takeGradient(whole);
    Tensor cut = cut(gradients);
    if (cut != gradients) {
      gradients.owner().release();
    }
    List<Tensor> each = parts.of(cut);
    for (int part = plans.size() - 1; part >= 0; part--) {
      outputGradients[part] =
          deliver(part, each.get(part), "combine backward", part == 0 ? cut.owner() : null);
    }
  }

  private void takeOutputGradients(int part, Tensor outputs) {
    pass.tape()
        .addGradient(outputs, orders.get(part).byExpert(pass, outputGradients[part].arrived()));
  }

  private void sendRowGradients(int part, Tensor arrived) {
    Tensor gradients = pass.tape().takeGradient(arrived);
    Tensor bySource = orders.get(part).bySource(pass, gradients);
    if (bySource != gradients) {
      gradients.owner().release();
    }
    if (rowGradientParts == null) {
      rowGradientParts = partsLike(rows);
    }
    Tensor target = parts.of(rowGradientParts).get(part);
    rowGradients[part] = giveBack(part, bySource, target, "dispatch backward", bySource.owner());
  }

  private void takeRowGradients() {
    for (Travelling part : rowGradients) {
      part.arrived();
    }
    pass.tape().addGradient(rows, join(rowGradientParts));
  }

  private Travelling deliver(int part, Tensor sent, String step, Tensor spent) {
    ExchangePlan plan = plans.get(part);
    Tensor target = pass.allocate(sent.dtype(), plan.arrived(), sent.size(1));
    return new Travelling(target, spent, step, () -> plan.forward(sent, target));
  }

  private Travelling giveBack(int part, Tensor bySource, Tensor target, String step, Tensor spent) {
    return new Travelling(target, spent, step, () -> plans.get(part).reverse(bySource, target));
  }

  /** Memory for all parts, one after the other; a single part takes the whole. */
  private Tensor partsLike(Tensor whole) {
    return pass.allocate(
        whole.dtype(), plans.size() == 1 ? whole.size(0) : parts.rows(), whole.size(1));
  }

  private Tensor cut(Tensor whole) {
    if (plans.size() == 1) {
      return whole;
    }
    Tensor cut = partsLike(whole);
    parts.cut(pass.backend(), whole, cut);
    return cut;
  }

  private Tensor join(Tensor cut) {
    if (plans.size() == 1) {
      return cut;
    }
    Tensor whole = pass.allocate(rows.dtype(), rows.shape());
    parts.join(pass.backend(), cut, whole);
    cut.release();
    return whole;
  }
}
