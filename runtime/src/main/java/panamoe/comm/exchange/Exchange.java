package panamoe.comm.exchange;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import panamoe.comm.Call;
import panamoe.comm.Communicator;
import panamoe.tensor.TensorMemory;

/**
 * Takes rows to the ranks they are for, and back: the uneven all-to-all of a dropless MoE layer.
 * Counts go first, then exactly the rows there are, nothing padded to a capacity. The strategies
 * differ in time, not in a bit of the outcome.
 *
 * <p>All members make, use and close it in the same order. Used by one thread of each rank at a
 * time. Layout transforms run on the host: strategies other than {@link Strategy#FLAT}, and
 * coordinated exchanges, want tensors in host memory.
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
   * Where two levels are no better than one (one node, or one rank a node), and with a logged line
   * where nodes have different numbers of ranks, every strategy is flat.
   *
   * @param group the ranks that hold the experts together
   * @param memory for rows on their way
   */
  public static Exchange of(Communicator group, Strategy strategy, TensorMemory memory) {
    return new Exchange(group, null, false, strategy, memory);
  }

  /**
   * For rows that all ranks of a tensor group have alike: each sends only its part (DeepSpeed-MoE
   * §5.3, parallelism-coordinated communication), and rows that come back are gathered.
   *
   * @param group the ranks that hold the experts together and have this rank's place in their
   *     tensor groups
   * @param gathersArrivals whether a rank gets all rows for its experts, as experts sliced over the
   *     tensor group need, or its part of them, which together with the other ranks' parts is all
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
   * Tells every rank how many rows come. The ranks' numbers of blocks must agree.
   *
   * @param counts rows of each block, by destination: as many blocks for each rank, such as one for
   *     each of its experts
   * @param rowBytes bytes of a row, by which the strategy is chosen
   */
  public Plan plan(long[] counts, long rowBytes) {
    return plan(counts, rowBytes, 1).getFirst();
  }

  /**
   * As {@link #plan(long[], long)}, for rows that travel in parts, one after the other: every block
   * is cut evenly.
   *
   * @param parts how many; the same on all ranks
   * @return a plan for each part, see {@link Parts}
   */
  public List<Plan> plan(long[] counts, long rowBytes, int parts) {
    int size = group.size();
    if (counts.length % size != 0 || Arrays.stream(counts).anyMatch(count -> count < 0)) {
      throw new IllegalArgumentException(
          "expected as many counts for each of "
              + size
              + " ranks, none negative, not "
              + Arrays.toString(counts));
    }
    int blocks = counts.length / size;
    // With its counts each rank tells how much it sends in all, so that all choose alike.
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
   * Says where in the model the next plans and their rows belong, such as {@code layer 3 dispatch}.
   */
  public void at(String place) {
    this.place = place;
    group.at(place);
    levels.ifPresent(found -> found.at(place));
    if (tensor != null) {
      tensor.at(place);
    }
  }

  /** What {@link Strategy#AUTO} chooses by, if there is anything to choose. */
  public Optional<SwitchTable> table() {
    return table;
  }

  /** Closes what the exchange opened; the group stays open. Idempotent. */
  @Override
  public void close() {
    levels.ifPresent(Levels::close);
    workspace.close();
  }

  private Plan plan(long[] counts, long[] between, long[] received, Strategy strategy) {
    int blocks = counts.length / group.size();
    long[] sends = partSums(counts, blocks, blocks);
    long[] receives = partSums(received, blocks, blocks);
    Way way =
        strategy == Strategy.FLAT
            ? new FlatWay(group, sends, receives)
            : new HierarchicalWay(
                levels.orElseThrow(),
                workspace,
                sends,
                partSums(between, blocks + 1, blocks),
                receives);
    long[] arriving = received;
    if (tensor != null) {
      way = new CoordinatedWay(tensor, way, workspace, gathersArrivals, counts, received);
      if (!gathersArrivals) {
        arriving = Arrays.stream(received).map(this::part).toArray();
      }
    }
    return new Plan(
        () -> place,
        strategy,
        way,
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

  /** What each of several parts has of each block. */
  private static long[] shares(long[] counts, int part, int parts) {
    return counts == null
        ? null
        : LongStream.of(counts).map(count -> Call.share(count, part, parts)).toArray();
  }

  /** This rank's part of a block. */
  private long part(long count) {
    return tensor == null ? count : Call.share(count, tensor.rank(), tensor.size());
  }

  /**
   * For every {@code stride} numbers the sum of this rank's parts of the first {@code blocks} of
   * them.
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
