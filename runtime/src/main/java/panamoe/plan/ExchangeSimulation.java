package panamoe.plan;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import panamoe.comm.LinkCost;
import panamoe.comm.ThreadCommunicator;
import panamoe.comm.ThreadWorld;
import panamoe.comm.VirtualSpan;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.ExchangePlan;
import panamoe.comm.exchange.Strategy;
import panamoe.io.Require;
import panamoe.parallel.ExpertPlacement;
import panamoe.parallel.Overlap;
import panamoe.parallel.Ranks;
import panamoe.parallel.Ranks.ExpertGroups;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * A discrete-event simulation of one MoE layer's exchange on a cluster ({@code panamoe twin}). It
 * runs the code of a real exchange; every rank is a thread with a virtual clock. Each row is a
 * single number that stands for a row of the model.
 *
 * @param topology over all devices; ranks are numbered node by node
 * @param strategy FLAT or HIERARCHICAL
 */
public record ExchangeSimulation(Node node, Topology topology, Strategy strategy) {
  /** Limit of ranks, because each is a thread. */
  public static final int MOST = 1024;

  private static final Duration TIMEOUT = Duration.ofMinutes(5);

  /**
   * Seconds of one layer's exchange, each on its slowest rank.
   *
   * @param closedForm dispatch and combine by the cost model, with the same load of the fullest
   *     rank
   * @param counts simulated exchange of counts before dispatch; the cost model has it in a layer's
   *     overhead
   * @param simulated dispatch and combine in the simulation
   * @param busiest busiest link during dispatch and combine
   * @param spans of all three, by rank, then by time, from 0
   */
  public record Result(
      double closedForm,
      double counts,
      double simulated,
      BusiestLink busiest,
      List<VirtualSpan> spans) {
    /** Relative difference of the simulation from the closed form. */
    public double difference() {
      return simulated / closedForm - 1;
    }
  }

  /** Clocks before counts and before dispatch, equal on all ranks, and after combine. */
  private record Times(double start, double dispatch, double end) {}

  /**
   * Even routes: every expert gets equally many rows of a data rank, and random ones get one more.
   *
   * @param rows of each data rank
   * @return rows from each data rank to each expert
   */
  public static long[][] even(int dataRanks, int experts, long rows, long seed) {
    Random random = new Random(seed);
    List<Integer> drawn = new ArrayList<>(IntStream.range(0, experts).boxed().toList());
    long[][] routes = new long[dataRanks][experts];
    for (long[] ofRank : routes) {
      Arrays.fill(ofRank, rows / experts);
      Collections.shuffle(drawn, random);
      for (int i = 0; i < rows % experts; i++) {
        ofRank[drawn.get(i)]++;
      }
    }
    return routes;
  }

  public ExchangeSimulation {
    Require.that(
        topology.ranks() <= MOST,
        "a twin has a thread for each device and at most %s, not %s",
        MOST,
        topology.ranks());
    Require.that(strategy != Strategy.AUTO, "a twin needs a flat or hierarchical exchange");
    if (devicesOnNode(node, topology) % topology.tensorDegree() != 0) {
      throw Require.refusal(
          "tensor groups stay within a node: groups of %s do not divide its %s devices",
          topology.tensorDegree(), devicesOnNode(node, topology));
    }
  }

  private static int devicesOnNode(Node node, Topology topology) {
    return Math.min(node.devices(), topology.ranks());
  }

  /**
   * Refuses a layer that needs no exchange.
   *
   * @param experts of the layer
   */
  public void requireExchange(int experts) {
    Require.that(
        topology.expertDegree(experts) != 1 || topology.sharesRows(),
        "every device, or every tensor group, has all %s experts, so no rows are exchanged; take more devices or a larger expert degree",
        experts);
  }

  /**
   * Simulates dispatch and combine once. The experts between them take no time.
   *
   * @param routes rows from each data rank to each expert: [data rank][expert]
   * @param rowBytes bytes of a row
   * @throws IllegalArgumentException if no rows leave their rank
   */
  public Result run(long[][] routes, long rowBytes) {
    int experts = routes[0].length;
    int degree = topology.expertDegree(experts);
    requireExchange(experts);
    double scale = (double) rowBytes / DType.FLOAT32.bytes();
    Queue<VirtualSpan> watched = new ConcurrentLinkedQueue<>();
    int devices = devicesOnNode(node, topology);
    List<Times> times =
        ThreadWorld.of(topology.ranks() / devices, devices)
            .links(cost(node.near()), cost(node.far()))
            .scaled(scale)
            .timeout(TIMEOUT)
            .watchedBy(watched::add)
            .run(world -> play(world, routes[topology.data(world.rank())], rowBytes, scale));
    double start = times.getFirst().start;
    double dispatch = times.getFirst().dispatch;
    List<VirtualSpan> spans =
        watched.stream()
            .filter(span -> span.start() >= start)
            .map(span -> from(start, span))
            .sorted(Comparator.comparingInt(VirtualSpan::rank)) // stable: by time within a rank
            .toList();
    double rows = DoubleStream.of(sums(routes)).average().orElseThrow();
    Optimizations optimizations = Optimizations.PANAMOE.with(strategy);
    return new Result(
        new ExchangeTime(node, topology, optimizations)
            .exchange(
                degree, new ExchangeTime.Rows(rows, rows * rowBytes, unevenness(routes, degree))),
        dispatch - start,
        times.stream().mapToDouble(rank -> rank.end - dispatch).max().orElseThrow(),
        BusiestLink.of(
            topology.ranks(),
            spans.stream().filter(span -> span.start() >= dispatch - start).toList()),
        spans);
  }

  private Times play(ThreadCommunicator world, long[] rowsOf, long rowBytes, double scale) {
    Ranks ranks = new Ranks(topology, world, strategy, Overlap.NONE);
    ExpertGroups groups = ranks.experts(rowsOf.length);
    SimulatedGpu device = new SimulatedGpu(node.copy(), world, scale);
    try (Exchange exchange =
            topology.tensorDegree() == 1
                ? Exchange.of(groups.group(), strategy, device)
                : Exchange.coordinated(
                    groups.group(), ranks.tensor(), ranks.slices(), strategy, device);
        TensorScope scope = TensorScope.confined(device)) {
      world.barrier();
      double start = world.seconds();
      exchange.at("counts");
      ExchangePlan plan = exchange.plan(counts(groups.placement(), rowsOf), rowBytes);
      Tensor rows = scope.zeros(DType.FLOAT32, plan.rows(), 1);
      Tensor arrived = scope.zeros(DType.FLOAT32, plan.arrived(), 1);
      world.barrier();
      double dispatch = world.seconds();
      exchange.at("dispatch");
      plan.forward(rows, arrived);
      exchange.at("combine");
      plan.reverse(arrived, rows);
      double end = world.seconds();
      world.barrier();
      return new Times(start, dispatch, end);
    }
  }

  /** Rows for each expert of each rank, equally many entries per rank. */
  private static long[] counts(ExpertPlacement placement, long[] rows) {
    int most = placement.most();
    long[] counts = new long[placement.held().size() * most];
    for (int place = 0; place < placement.held().size(); place++) {
      List<Integer> held = placement.held().get(place);
      for (int i = 0; i < held.size(); i++) {
        counts[place * most + i] = rows[held.get(i)];
      }
    }
    return counts;
  }

  /** Rows of the fullest rank over the mean, among the ranks that together hold all experts. */
  private double unevenness(long[][] routes, int degree) {
    int experts = routes[0].length;
    int together = Math.min(degree, routes.length); // data ranks that send to one expert group
    double most = 1;
    for (int first = 0; first < routes.length; first += together) {
      double[] rows = new double[degree];
      for (int place = 0; place < degree; place++) {
        int end = Topology.firstExpert(experts, degree, place + 1);
        for (int expert = Topology.firstExpert(experts, degree, place); expert < end; expert++) {
          for (int rank = first; rank < first + together; rank++) {
            rows[place] += routes[rank][expert];
          }
        }
      }
      double mean = DoubleStream.of(rows).average().orElseThrow();
      most = Math.max(most, DoubleStream.of(rows).max().orElseThrow() / mean);
    }
    return most;
  }

  private static double[] sums(long[][] routes) {
    double[] sums = new double[routes.length];
    for (int i = 0; i < sums.length; i++) {
      for (long rows : routes[i]) {
        sums[i] += rows;
      }
    }
    return sums;
  }

  private static VirtualSpan from(double start, VirtualSpan span) {
    return new VirtualSpan(
        span.rank(), span.what(), span.start() - start, span.end() - start, span.busy());
  }

  private static LinkCost cost(Link link) {
    return new LinkCost(link.base().value(), link.perPeer().value(), link.bandwidth().value());
  }
}
