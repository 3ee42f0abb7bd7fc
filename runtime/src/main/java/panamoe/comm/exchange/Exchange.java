package panamoe.comm.exchange;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.comm.CollectiveCall;
import panamoe.comm.Communicator;
import panamoe.comm.SelfCommunicator;
import panamoe.io.Require;
import panamoe.tensor.TensorDevice;
import panamoe.tensor.TensorScope;

/**
 * The uneven all-to-all of a dropless MoE layer, and its inverse. Ranks first exchange counts, then
 * exactly that many rows, without padding to a capacity. All strategies give the same bits.
 *
 * <p>All members create, use and close it in the same order. Used by one thread of each rank at a
 * time. Rows stay on the device of their tensors; the device runs the layout transforms.
 */
public final class Exchange implements AutoCloseable {
  private final Communicator group;
  private final Communicator tensor;
  private final Communicator slices;
  private final long[] tensorRanks; // of the group's members
  private final Optional<Levels> levels;
  private final Optional<SwitchTable> table;
  private final Workspace workspace;
  private String location = "";

  private Exchange(
      Communicator group,
      Communicator tensor,
      Communicator slices,
      Strategy strategy,
      TensorDevice device) {
    this.group = group;
    this.tensor = tensor;
    this.slices = slices;
    this.tensorRanks = group.allGather(tensor.rank());
    this.workspace = new Workspace(device);
    this.levels = strategy == Strategy.FLAT ? Optional.empty() : Levels.of(group);
    this.table =
        strategy == Strategy.AUTO
            ? levels.map(found -> SwitchTable.measure(group, found, workspace, device))
            : Optional.empty();
  }

  /**
   * Creates an exchange. Every strategy is flat if two levels cannot help (one node, or one rank
   * per node) or nodes have different numbers of ranks; the latter is logged.
   *
   * @param group the ranks that hold the experts together
   * @param device of the rows and of the buffers for rows in transit
   */
  public static Exchange of(Communicator group, Strategy strategy, TensorDevice device) {
    return new Exchange(group, SelfCommunicator.WORLD, SelfCommunicator.WORLD, strategy, device);
  }

  /**
   * Creates an exchange for rows that are replicated over a tensor group: each rank sends only its
   * part, and returning rows are gathered (DeepSpeed-MoE §5.3, parallelism-coordinated
   * communication). Ranks that slice the same experts all get the rows that came to any of them,
   * and return terms (FLOAT32 or BFLOAT16) whose sum goes back.
   *
   * @param group the ranks that hold this rank's slice of all the experts together
   * @param slices the S ranks of the tensor group that slice this rank's experts: tensor ranks
   *     {@code k * S} to {@code k * S + S - 1}, in this order
   */
  public static Exchange coordinated(
      Communicator group,
      Communicator tensor,
      Communicator slices,
      Strategy strategy,
      TensorDevice device) {
    return new Exchange(group, tensor, slices, strategy, device);
  }

  /**
   * Exchanges the counts. All ranks must have the same number of blocks.
   *
   * @param counts rows of each block, by destination rank; each rank has equally many blocks, such
   *     as one per expert
   * @param rowBytes bytes of a row, to choose the strategy
   */
  public ExchangePlan plan(long[] counts, long rowBytes) {
    return plan(counts, rowBytes, 1).getFirst();
  }

  /**
   * Like {@link #plan(long[], long)}, for rows that are sent in parts, one after the other. Every
   * block is split evenly.
   *
   * @param parts the number of parts, the same on all ranks
   * @return a plan for each part, see {@link Parts}
   */
  public List<ExchangePlan> plan(long[] counts, long rowBytes, int parts) {
    int size = group.size();
    if (counts.length % size != 0 || Arrays.stream(counts).anyMatch(count -> count < 0)) {
      throw Require.refusal(
          "expected as many counts for each of %s ranks, none negative, not %s",
          size, Arrays.toString(counts));
    }
    int blocks = counts.length / size;
    // Each rank sends its total with its counts, so that all ranks choose the same strategy.
    long total = LongStream.of(counts).sum();
    long[] numbers = new long[size * (blocks + 1)];
    for (int rank = 0; rank < size; rank++) {
      System.arraycopy(counts, rank * blocks, numbers, rank * (blocks + 1), blocks);
      numbers[rank * (blocks + 1) + blocks] = total;
    }
    long[] passing = levels.map(found -> found.toNode(numbers)).orElse(numbers);
    long[] coming =
        levels.map(found -> found.acrossNodes(passing)).orElseGet(() -> group.allToAll(numbers));
    long most =
        IntStream.range(1, size + 1)
            .mapToLong(end -> coming[end * (blocks + 1) - 1])
            .max()
            .orElseThrow();
    long[] between = withoutTotals(passing, blocks);
    long[] received = withoutTotals(coming, blocks);
    Strategy chosen = choose(most * rowBytes / tensor.size() / parts);
    return IntStream.range(0, parts)
        .mapToObj(
            part ->
                plan(
                    Parts.shares(counts, part, parts),
                    Parts.shares(between, part, parts),
                    Parts.shares(received, part, parts),
                    chosen))
        .toList();
  }

  /**
   * A plan that sends every rank of the group the same number of rows, all of them from each tensor
   * rank. No counts are exchanged, so that its use can be captured.
   *
   * @param rows for each rank, equal on all ranks
   * @param buffers of the rows in transit; the plan is used while it is open
   */
  public ExchangePlan even(long rows, long rowBytes, TensorScope buffers) {
    long[] each = new long[group.size()];
    Arrays.fill(each, rows);
    Strategy chosen = choose(rows * group.size() * rowBytes);
    AllToAll allToAll =
        chosen == Strategy.FLAT
            ? new FlatAllToAll(group, each, each)
            : new HierarchicalAllToAll(
                levels.orElseThrow(), workspace.lasting(buffers), each, each, each);
    long all = rows * group.size();
    return new ExchangePlan(() -> location, chosen, allToAll, all, each, all);
  }

  private static long[] withoutTotals(long[] numbers, int blocks) {
    return IntStream.range(0, numbers.length)
        .filter(i -> i % (blocks + 1) < blocks)
        .mapToLong(i -> numbers[i])
        .toArray();
  }

  /**
   * Sets where in the model the next plans are used, such as {@code layer 3 dispatch}; messages
   * quote it.
   */
  public void at(String location) {
    this.location = location;
    group.at(location);
    levels.ifPresent(found -> found.at(location));
    tensor.at(location);
    slices.at(location);
  }

  /** The measured table of {@link Strategy#AUTO}; empty if there is only one strategy to choose. */
  public Optional<SwitchTable> table() {
    return table;
  }

  /** Frees the memory of rows in transit; the next exchange takes it again. */
  public void freeBuffers() {
    workspace.close();
  }

  /** Closes the groups that the exchange opened; the caller's group stays open. Idempotent. */
  @Override
  public void close() {
    levels.ifPresent(Levels::close);
    workspace.close();
  }

  private ExchangePlan plan(long[] counts, long[] between, long[] received, Strategy strategy) {
    // The group's members have this rank's slice index, but may have any tensor rank.
    long[][] sending = cut(counts, tensor.size(), _ -> 0);
    long[][] coming = cut(received, slices.size(), rank -> tensorRank(rank) - slices.rank());
    long[] sends = sums(sending[tensor.rank()]);
    long[] receives = sums(coming[slices.rank()]);
    AllToAll allToAll =
        strategy == Strategy.FLAT
            ? new FlatAllToAll(group, sends, receives)
            : hierarchical(levels.orElseThrow(), sends, between, receives);
    if (tensor.size() > 1) {
      allToAll = new CoordinatedAllToAll(tensor, slices, allToAll, workspace, sending, coming);
    }
    long[] arriving = new long[received.length];
    Arrays.setAll(arriving, i -> Arrays.stream(coming).mapToLong(part -> part[i]).sum());
    return new ExchangePlan(
        () -> location,
        strategy,
        allToAll,
        LongStream.of(counts).sum(),
        arriving,
        LongStream.of(arriving).sum());
  }

  private AllToAll hierarchical(Levels found, long[] sends, long[] between, long[] receives) {
    long[] passing = cut(between, 1, i -> tensorRank(found.source(i)))[0];
    return new HierarchicalAllToAll(found, workspace, sends, sums(passing), receives);
  }

  private Strategy choose(long bytes) {
    if (levels.isEmpty()) {
      return Strategy.FLAT;
    }
    return table.map(measured -> measured.choose(bytes)).orElse(Strategy.HIERARCHICAL);
  }

  private int tensorRank(int rank) {
    return (int) tensorRanks[rank];
  }

  /**
   * The parts of blocks that successive tensor ranks send: [tensor rank][block].
   *
   * @param counts rows of each block, equally many blocks for each run of the group's size
   * @param first the first of these tensor ranks, for the blocks of each run
   */
  private long[][] cut(long[] counts, int members, IntUnaryOperator first) {
    int blocks = counts.length / group.size();
    long[][] parts = new long[members][counts.length];
    for (int i = 0; i < counts.length; i++) {
      for (int member = 0; member < members; member++) {
        int sender = first.applyAsInt(i / blocks) + member;
        parts[member][i] = CollectiveCall.share(counts[i], sender, tensor.size());
      }
    }
    return parts;
  }

  /** Rows of all blocks of each rank. */
  private long[] sums(long[] rows) {
    int blocks = rows.length / group.size();
    long[] sums = new long[group.size()];
    for (int i = 0; i < rows.length; i++) {
      sums[i / blocks] += rows[i];
    }
    return sums;
  }
}
