package panamoe.comm.exchange;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.comm.CollectiveCall;
import panamoe.comm.Communicator;
import panamoe.tensor.TensorMemory;

/**
 * The uneven all-to-all of a dropless MoE layer, and its inverse. Ranks first exchange counts, then
 * exactly the rows there are, without padding to a capacity. All strategies give the same bits.
 *
 * <p>All members create, use and close it in the same order. Used by one thread of each rank at a
 * time. Layout transforms run on the host: strategies other than {@link Strategy#FLAT}, and
 * coordinated exchanges, need tensors in host memory.
 */
public final class Exchange implements AutoCloseable {
  private final Communicator group;
  private final Communicator tensor;
  private final boolean gathersArrivals;
  private final Optional<Levels> levels;
  private final Optional<SwitchTable> table;
  private final Workspace workspace;
  private String place = "";

  private Exchange(
      Communicator group,
      Communicator tensor,
      boolean gathersArrivals,
      Strategy strategy,
      TensorMemory memory) {
    this.group = group;
    this.tensor = tensor;
    this.gathersArrivals = gathersArrivals;
    this.workspace = new Workspace(memory);
    this.levels = strategy == Strategy.FLAT ? Optional.empty() : Levels.of(group);
    this.table =
        strategy == Strategy.AUTO
            ? levels.map(found -> SwitchTable.measure(group, found, workspace, memory))
            : Optional.empty();
  }

  /**
   * Creates an exchange. Every strategy is flat where two levels cannot help (one node, or one rank
   * per node), and where nodes have different numbers of ranks, which is logged.
   *
   * @param group the ranks that hold the experts together
   * @param memory for rows on their way
   */
  public static Exchange of(Communicator group, Strategy strategy, TensorMemory memory) {
    return new Exchange(group, null, false, strategy, memory);
  }

  /**
   * Creates an exchange for rows that are replicated over a tensor group: each rank sends only its
   * part, and returning rows are gathered (DeepSpeed-MoE §5.3, parallelism-coordinated
   * communication).
   *
   * @param group the ranks that hold the experts together and have this rank's place in their
   *     tensor groups
   * @param gathersArrivals true: every rank of the tensor group gets all rows for its experts, as
   *     sliced experts need; false: each gets its part of them
   */
  public static Exchange coordinated(
      Communicator group,
      Communicator tensor,
      boolean gathersArrivals,
      Strategy strategy,
      TensorMemory memory) {
    return new Exchange(group, tensor, gathersArrivals, strategy, memory);
  }

  /**
   * Exchanges the counts. All ranks must have the same number of blocks.
   *
   * @param counts rows of each block, by destination rank; each rank has equally many blocks, such
   *     as one per expert
   * @param rowBytes bytes of a row, for the choice of the strategy
   */
  public ExchangePlan plan(long[] counts, long rowBytes) {
    return plan(counts, rowBytes, 1).getFirst();
  }

  /**
   * Like {@link #plan(long[], long)}, for rows that are sent in parts, one after the other: every
   * block is cut evenly.
   *
   * @param parts the number of parts, the same on all ranks
   * @return a plan for each part, see {@link Parts}
   */
  public List<ExchangePlan> plan(long[] counts, long rowBytes, int parts) {
    int size = group.size();
    if (counts.length % size != 0 || Arrays.stream(counts).anyMatch(count -> count < 0)) {
      throw new IllegalArgumentException(
          "expected as many counts for each of "
              + size
              + " ranks, none negative, not "
              + Arrays.toString(counts));
    }
    int blocks = counts.length / size;
    // Each rank sends its total with its counts, so that all choose the same strategy.
    long total = LongStream.of(counts).sum();
    long[] numbers = new long[size * (blocks + 1)];
    for (int rank = 0; rank < size; rank++) {
      System.arraycopy(counts, rank * blocks, numbers, rank * (blocks + 1), blocks);
      numbers[rank * (blocks + 1) + blocks] = total;
    }
    long[] between = levels.map(found -> found.toNode(numbers)).orElse(null);
    long[] coming =
        levels.map(found -> found.acrossNodes(between)).orElseGet(() -> group.allToAll(numbers));
    long[] received = new long[counts.length];
    long most = 0;
    for (int rank = 0; rank < size; rank++) {
      System.arraycopy(coming, rank * (blocks + 1), received, rank * blocks, blocks);
      most = Math.max(most, coming[rank * (blocks + 1) + blocks]);
    }
    Strategy chosen = choose(most * rowBytes / tensorParts() / parts);
    return IntStream.range(0, parts)
        .mapToObj(
            part ->
                plan(
                    shares(counts, part, parts),
                    shares(between, part, parts),
                    shares(received, part, parts),
                    chosen))
        .toList();
  }

  /**
   * Sets where in the model the next plans are used, such as {@code layer 3 dispatch}; messages
   * quote it.
   */
  public void at(String place) {
    this.place = place;
    group.at(place);
    levels.ifPresent(found -> found.at(place));
    if (tensor != null) {
      tensor.at(place);
    }
  }

  /** The measured table of {@link Strategy#AUTO}; empty if there is only one strategy to choose. */
  public Optional<SwitchTable> table() {
    return table;
  }

  /** Closes the groups that the exchange opened; the given group stays open. Idempotent. */
  @Override
  public void close() {
    levels.ifPresent(Levels::close);
    workspace.close();
  }

  private ExchangePlan plan(long[] counts, long[] between, long[] received, Strategy strategy) {
    int blocks = counts.length / group.size();
    long[] sends = partSums(counts, blocks, blocks);
    long[] receives = partSums(received, blocks, blocks);
    AllToAll allToAll =
        strategy == Strategy.FLAT
            ? new FlatAllToAll(group, sends, receives)
            : new HierarchicalAllToAll(
                levels.orElseThrow(),
                workspace,
                sends,
                partSums(between, blocks + 1, blocks),
                receives);
    long[] arriving = received;
    if (tensor != null) {
      allToAll =
          new CoordinatedAllToAll(tensor, allToAll, workspace, gathersArrivals, counts, received);
      if (!gathersArrivals) {
        arriving = Arrays.stream(received).map(this::part).toArray();
      }
    }
    return new ExchangePlan(
        () -> place,
        strategy,
        allToAll,
        LongStream.of(counts).sum(),
        arriving,
        LongStream.of(arriving).sum());
  }

  private Strategy choose(long bytes) {
    if (levels.isEmpty()) {
      return Strategy.FLAT;
    }
    return table.map(measured -> measured.choose(bytes)).orElse(Strategy.HIERARCHICAL);
  }

  private int tensorParts() {
    return tensor == null ? 1 : tensor.size();
  }

  /** Rows of each block in one of several parts. */
  private static long[] shares(long[] counts, int part, int parts) {
    return counts == null
        ? null
        : LongStream.of(counts).map(count -> CollectiveCall.share(count, part, parts)).toArray();
  }

  /** This rank's part of a block. */
  private long part(long count) {
    return tensor == null ? count : CollectiveCall.share(count, tensor.rank(), tensor.size());
  }

  /**
   * For each run of {@code stride} numbers, the sum of this rank's parts of its first {@code
   * blocks} numbers.
   */
  private long[] partSums(long[] numbers, int stride, int blocks) {
    long[] sums = new long[blocks == 0 ? group.size() : numbers.length / stride];
    for (int i = 0; i < sums.length; i++) {
      for (int block = 0; block < blocks; block++) {
        sums[i] += part(numbers[i * stride + block]);
      }
    }
    return sums;
  }
}
