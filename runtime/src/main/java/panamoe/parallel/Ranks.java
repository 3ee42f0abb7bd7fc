package panamoe.parallel;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import panamoe.backend.Backend;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.comm.exchange.Background;
import panamoe.comm.exchange.Exchange;
import panamoe.comm.exchange.Strategy;

/**
 * One rank of a {@link Topology}, and its groups. A group is created on first use; all ranks must
 * use them in the same order. Used by the rank's thread.
 *
 * <p>Not {@link AutoCloseable} on purpose: closing groups is collective, and a failed rank must
 * neither wait for the others nor be blamed because it left a group. See {@link #close}.
 */
public final class Ranks {
  /**
   * The groups of a layer's experts.
   *
   * @param placement of the layer's experts in the group
   * @param group the ranks that together hold all experts
   * @param replicas the ranks that hold this rank's experts and compute them for other rows
   */
  public record ExpertGroups(ExpertPlacement placement, Communicator group, Communicator replicas) {
    /** E, experts of the layer. */
    public int total() {
      return placement.total();
    }

    /** The indices of this rank's experts. */
    public List<Integer> held() {
      return placement.held().get(group.rank());
    }
  }

  private final Topology topology;
  private final Strategy strategy;
  private final Overlap overlap;
  private final Background background;
  private final Communicator world;
  private final Communicator tensor;
  private final Communicator slices;
  private final Communicator data;
  private final Map<Integer, Communicator> expert = new HashMap<>();
  private final Map<Integer, Communicator> expertData = new HashMap<>();
  private final Map<Integer, Communicator> overSlices = new HashMap<>();
  // In order of creation, equal on all ranks, because closing them is collective.
  private final Map<Communicator, Exchange> exchanges = new LinkedHashMap<>();
  private final List<Communicator> groups = new ArrayList<>();
  private Map<Integer, long[]> expertRows = Map.of();
  private int copiesEach;
  // A second stream for exchanges that overlap with computing; null before the first.
  private Backend second;

  /**
   * Creates this rank's first groups. Collective.
   *
   * @param strategy of exchanges with the ranks that hold experts
   * @param overlap of these exchanges with computing; equal on all ranks
   * @throws IllegalArgumentException if the world's size is not the topology's
   * @throws panamoe.comm.CommunicationException if the ranks' arguments differ
   */
  public Ranks(Topology topology, Communicator world, Strategy strategy, Overlap overlap) {
    if (world.size() != topology.ranks()) {
      throw new IllegalArgumentException(
          "the topology is for " + topology.ranks() + " ranks, but the world has " + world.size());
    }
    RankConsistency.require(
        world,
        world,
        () ->
            Map.of(
                "ranks", Integer.toString(topology.ranks()),
                "expert degree", Integer.toString(topology.expertDegree()),
                "tensor degree", Integer.toString(topology.tensorDegree()),
                "expert slices", Integer.toString(topology.expertSlices()),
                "exchange", strategy.toString(),
                "overlap", overlap.toString()));
    this.topology = topology;
    this.strategy = strategy;
    this.overlap = overlap;
    this.background =
        overlap.concurrent() && !world.enqueues()
            ? new Background("rank " + world.rank() + " communication")
            : Background.none();
    this.world = world;
    int dataRank = topology.data(world.rank());
    int tensorRank = topology.tensor(world.rank());
    this.tensor = split(world, dataRank, world.rank(), "tensor[" + dataRank + "]");
    this.data = split(world, tensorRank, world.rank(), "data[" + tensorRank + "]");
    int sub = topology.sub(world.rank());
    this.slices =
        topology.sharesRows()
            ? split(tensor, sub, tensorRank, "slices[" + dataRank + "," + sub + "]")
            : tensor;
  }

  /** A world of one rank. */
  public static Ranks alone() {
    return new Ranks(Topology.ONE, SelfCommunicator.WORLD, Strategy.FLAT, Overlap.NONE);
  }

  public Topology topology() {
    return topology;
  }

  public Communicator world() {
    return world;
  }

  /** The tensor group: ranks with this one's tokens, each with a slice of heads and MLPs. */
  public Communicator tensor() {
    return tensor;
  }

  /** The tensor ranks that slice this one's experts. */
  public Communicator slices() {
    return slices;
  }

  /** The ranks that hold this one's dense parameters and have other tokens. */
  public Communicator data() {
    return data;
  }

  /** Whether this rank writes metrics, progress and reports for all. */
  public boolean first() {
    return world.rank() == 0;
  }

  /**
   * Adds copies of experts to every rank, for models that are then loaded for inference. Call it on
   * all ranks with equal arguments.
   *
   * @param rows of each expert, as measured, by layer index; other layers get no copies
   * @param each copies of a layer's experts that a rank may hold
   */
  public void copyExperts(Map<Integer, long[]> rows, int each) {
    expertRows = Map.copyOf(rows);
    copiesEach = each;
  }

  /** The groups around the layer {@code layer} of {@code experts} experts. */
  public ExpertGroups experts(int layer, int experts) {
    ExpertGroups groups = experts(experts);
    long[] rows = expertRows.get(layer);
    return rows == null
        ? groups
        : new ExpertGroups(
            groups.placement.withCopies(rows, copiesEach), groups.group, groups.replicas);
  }

  /** The groups around a layer of {@code experts} experts without copies. */
  public ExpertGroups experts(int experts) {
    int degree = topology.expertDegree(experts);
    int block = topology.expertData(world.rank(), degree);
    int expertRank = topology.expert(world.rank(), degree);
    Communicator group =
        expert.computeIfAbsent(degree, _ -> splitSlices(block, expertRank, "expert" + degree));
    Communicator replicas =
        expertData.computeIfAbsent(
            degree, _ -> splitSlices(expertRank, world.rank(), "expert-data" + degree));
    return new ExpertGroups(ExpertPlacement.even(experts, degree), group, replicas);
  }

  /** The ranks that hold this rank's experts, or other slices of them. */
  public Communicator replicasOverSlices(ExpertGroups experts) {
    if (topology.expertSlices() == 1) {
      return experts.replicas();
    }
    int degree = topology.expertDegree(experts.total());
    int expertRank = topology.expert(world.rank(), degree);
    return overSlices.computeIfAbsent(
        degree,
        _ ->
            split(
                world,
                expertRank,
                world.rank(),
                "expert-slices" + degree + "[" + expertRank + "]"));
  }

  /** The ranks with this rank's slice that pass the same number. */
  private Communicator splitSlices(int number, int key, String kind) {
    int slice = slices.rank();
    return split(
        world,
        number * topology.expertSlices() + slice,
        key,
        kind + "[" + number + "," + slice + "]");
  }

  /**
   * The exchange with the ranks that hold a layer's experts; created at the first call.
   *
   * @param backend of the rows
   */
  public Exchange exchange(ExpertGroups experts, Backend backend) {
    Backend stream = exchangeStream(backend);
    return exchanges.computeIfAbsent(
        experts.group(),
        group -> {
          move(group, stream);
          if (topology.tensorDegree() == 1) {
            return Exchange.of(group, strategy, stream);
          }
          // Separate communicators of the tensor ranks and of the slices: rows are gathered over
          // them while sums use the first ones.
          Communicator tensorAgain = again(tensor, group, stream);
          Communicator slicesAgain = slices == tensor ? tensorAgain : again(slices, group, stream);
          return Exchange.coordinated(group, tensorAgain, slicesAgain, strategy, stream);
        });
  }

  private Communicator again(Communicator members, Communicator group, Backend stream) {
    Communicator again = split(members, 0, members.rank(), members.name() + " for " + group.name());
    move(again, stream);
    return again;
  }

  private void move(Communicator group, Backend stream) {
    if (overlap.concurrent()) {
      group.enqueueOn(stream);
    }
  }

  /**
   * The stream of a backend's exchanges: a second one if they overlap with computing, otherwise the
   * backend's own.
   */
  public Backend exchangeStream(Backend backend) {
    if (!overlap.concurrent()) {
      return backend;
    }
    if (second == null) {
      second = backend.secondStream();
    }
    return second;
  }

  private Communicator split(Communicator whole, int color, int key, String name) {
    Communicator group = whole.split(color, key, name);
    groups.add(group);
    return group;
  }

  /** The thread that moves rows; without overlap the calling thread. */
  public Background background() {
    return background;
  }

  public Overlap overlap() {
    return overlap;
  }

  /**
   * Compares values that must be equal on all ranks; see {@link RankConsistency#require}.
   * Collective.
   *
   * @param mine this rank's values by name; not called in a world of one rank
   */
  public void requireSame(Supplier<Map<String, String>> mine) {
    RankConsistency.require(world, world, mine);
  }

  /** Returns true on every rank if {@code here} is true on any. Collective. */
  public boolean any(boolean here) {
    return world.allReduce(here ? 1.0 : 0.0) > 0;
  }

  /**
   * Frees the memory of exchanges; a later exchange allocates it again. Not collective: call it
   * before a device is closed.
   */
  public void freeBuffers() {
    exchanges.values().forEach(Exchange::freeBuffers);
  }

  /**
   * Closes all groups together with the other ranks; the world stays open. Call it after success
   * only, and before the memory of exchanges is freed. After a failure the groups end with the
   * world or the process.
   */
  public void close() {
    background.close();
    exchanges.values().forEach(Exchange::close);
    exchanges.clear();
    groups.reversed().forEach(Communicator::close);
    groups.clear();
    if (second != null) {
      second.close();
      second = null;
    }
  }
}
