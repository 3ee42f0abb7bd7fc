package panamoe.lab.measurement;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.Strategy;
import panamoe.io.Words;
import panamoe.parallel.Topology;
import panamoe.plan.Constant;
import panamoe.plan.ExchangeTime;
import panamoe.plan.Link;
import panamoe.plan.Node;
import panamoe.plan.Optimizations;

/** The links of ranks on several nodes, measured by exchanges within nodes and between them. */
record MeasuredLinks(Node node) {
  private static final int[] BYTES = {256, 1024, 3000}; // from each to each

  // Copies are negligible against messages on a slow network.
  private static final Node.Copy COPY = new Node.Copy(assumed(1e-6, "s"), assumed(1e10, "bytes/s"));

  /** Measures both links. Collective; all nodes must have equally many ranks. */
  static MeasuredLinks of(Communicator world, Backend backend) {
    int here = world.node();
    long[] nodes = world.allGather(here);
    int place = (int) LongStream.of(nodes).limit(world.rank()).filter(n -> n == here).count();
    try (Communicator within = world.split(here, world.rank(), "node");
        Communicator across = world.split(place, world.rank(), "across nodes")) {
      Node any = Node.KNOWN.get("dgx-a100");
      return new MeasuredLinks(
          new Node(
              "slowed",
              within.size(),
              any.memory(),
              any.bandwidth(),
              any.flops(),
              link(world, within, backend),
              link(world, across, backend),
              COPY));
    }
  }

  /**
   * Fits a link. Times of a group and of a part of it separate the base from the time per peer.
   *
   * <p>All groups like {@code group} exchange at the same time, because ranks share their node's
   * link.
   */
  private static Link link(Communicator world, Communicator group, Backend backend) {
    int peers = group.size() - 1;
    int fewer = peers > 1 ? 1 : 0;
    try (Communicator part = group.split(group.rank() / (fewer + 1), group.rank(), "part");
        Exchange ofPart = Exchange.of(part, Strategy.FLAT, backend);
        Exchange ofGroup = Exchange.of(group, Strategy.FLAT, backend)) {
      List<Link.Timed> timed = new ArrayList<>();
      for (int bytes : BYTES) {
        double few = seconds(world, backend, ofPart, part.size(), bytes);
        timed.add(new Link.Timed(fewer, (double) fewer * bytes, few));
        double all = seconds(world, backend, ofGroup, group.size(), bytes);
        timed.add(new Link.Timed(peers, (double) peers * bytes, all));
      }
      return Link.fitted(timed, "exchanges in the slowed network");
    }
  }

  private static double seconds(
      Communicator world, Backend backend, Exchange exchange, int size, int bytes) {
    return ExchangeTimer.best(world, backend, new Exchange[] {exchange}, size, bytes)[0] / 1e3;
  }

  /** The planner's closed form of one way, for a size per pair of ranks. */
  double milliseconds(int ranks, Strategy strategy, int bytes) {
    ExchangeTime time =
        new ExchangeTime(node, Topology.of(ranks), Optimizations.PANAMOE.with(strategy));
    // Rows of one byte, some for each rank.
    double rows = (double) bytes * ranks;
    return 1e3 * time.exchange(ranks, new ExchangeTime.Rows(rows, rows)) / 2;
  }

  @Override
  public String toString() {
    return "near: " + words(node.near()) + "; far: " + words(node.far());
  }

  private static String words(Link link) {
    return Words.of(
        "%.2f ms, %.2f ms a peer, %.0f kB/s",
        1e3 * link.base().value(), 1e3 * link.perPeer().value(), link.bandwidth().value() / 1e3);
  }

  private static Constant assumed(double value, String unit) {
    return new Constant(value, unit, Constant.Kind.ASSUMED, "little beside messages");
  }
}
