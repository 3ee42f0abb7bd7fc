package panamoe.op;

import panamoe.backend.Routes;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.parallel.Ranks;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Like {@link ExchangeOp}, for the few rows of a step that writes: every rank sends every other a
 * message of one size, with room for as many rows as it may have. Counts travel in the messages and
 * stay on the device, so the host waits for nothing and the step can be captured. Without gradients
 * and without copies of experts. Tensor ranks have the same rows, and each sends all of them: it
 * needs no gathering, and a step of few rows is bound by the experts' weights.
 *
 * <p>The rows that arrive are grouped by this rank's experts, and within an expert by source rank.
 */
public final class SlotExchangeOp {
  /** Rows of the messages of a rank, of which P ranks use about one in P. */
  private static final long MOST_SLOTS = 2048;

  private final Pass pass;
  private final Exchange exchange;
  private final ExpertGroups experts;
  private final Communicator slices;
  private final String place;
  private final Messages sent;
  private final Messages arrived;
  private final Routes routes;
  private final ExchangePlan plan;

  /**
   * Messages for or of all ranks.
   *
   * @param rows [P * R, M]
   * @param words INT32 [P, W], the same memory
   */
  private record Messages(Tensor rows, Tensor words) {
    static Messages of(String name, Pass pass, DType dtype, int ranks, long rows, long width) {
      Tensor all = pass.inTurn(name, dtype, ranks * rows, width);
      long words = rows * width * dtype.bytes() / Integer.BYTES;
      return new Messages(all, all.part(0, DType.INT32, ranks, words));
    }
  }

  private SlotExchangeOp(
      Pass pass, Tensor x, Routes chosen, Ranks ranks, ExpertGroups experts, String place) {
    this.pass = pass;
    this.exchange = ranks.exchange(experts, pass.backend());
    this.experts = experts;
    this.slices = ranks.slices();
    this.place = place;
    int size = experts.group().size();
    int counts = experts.placement().most();
    long rowBytes = x.size(1) * x.dtype().bytes();
    long rows =
        (long) pass.mostRows() * Math.min(chosen.topK(), counts)
            + Math.ceilDiv((long) counts * Integer.BYTES, rowBytes);
    this.sent = Messages.of("sent", pass, x.dtype(), size, rows, x.size(1));
    this.arrived = Messages.of("arrived", pass, x.dtype(), size, rows, x.size(1));
    Tensor starts = pass.allocate(DType.INT32, chosen.offsets().shape());
    pass.backend().slotStarts(rows, chosen.offsets(), sent.words, starts);
    this.routes = chosen.at(starts);
    this.plan = exchange.even(rows, rowBytes, pass.scope());
  }

  /**
   * Whether rows of {@code width} elements can be exchanged in slots, and so few that slots are
   * worth their memory.
   *
   * @param routes that a rank has at most
   */
  public static boolean fits(DType dtype, long width, long routes, ExpertGroups experts) {
    return width * dtype.bytes() % Integer.BYTES == 0
        && routes * experts.group().size() <= MOST_SLOTS
        && !experts.placement().copied();
  }

  /**
   * Sends rows.
   *
   * @param x [S, M], of at most {@link Pass#mostRows} tokens
   * @param place of the layer in the model, for messages
   */
  public static SlotExchangeOp start(
      Pass pass, Tensor x, Routes routes, Ranks ranks, ExpertGroups experts, String place) {
    SlotExchangeOp op = new SlotExchangeOp(pass, x, routes, ranks, experts, place);
    pass.backend().dispatchForward(x, op.routes, op.sent.rows);
    op.exchange.at(place + " dispatch");
    op.plan.forward(op.sent.rows, op.arrived.rows);
    return op;
  }

  /** The routes to the rows that {@link #through} returns. */
  public Routes routes() {
    return routes;
  }

  /** Computes the rows that arrive by this rank's experts, and returns the outputs of the sent. */
  public Tensor through(ExchangeOp.Experts compute) {
    long slots = arrived.rows.size(0);
    Tensor expert = pass.allocate(DType.INT32, slots, 1);
    Tensor position = pass.allocate(DType.INT32, slots, 1);
    Tensor offsets = pass.allocate(DType.INT32, experts.held().size() + 1);
    pass.backend().slotRoutes(experts.placement().most(), arrived.words, expert, position, offsets);
    Routes grouped = Routes.of(expert, position, offsets);
    Tensor rows = pass.inTurn("rows", arrived.rows.dtype(), slots, arrived.rows.size(1));
    pass.backend().dispatchForward(arrived.rows, grouped, rows);
    Tensor outputs =
        ComputeEvent.around(pass, place + " experts", () -> compute.forward(pass, rows, offsets));
    pass.backend().dispatchBackward(outputs, grouped, arrived.rows);
    exchange.at(place + " combine");
    plan.reverse(arrived.rows, sent.rows);
    return SliceOp.leave(pass, sent.rows, slices);
  }
}
