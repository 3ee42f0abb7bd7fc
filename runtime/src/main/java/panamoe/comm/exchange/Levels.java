package panamoe.comm.exchange;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;
import panamoe.comm.Communicator;

/**
 * The ranks of a group as a grid of N nodes with G ranks each, for any numbering of the ranks.
 *
 * @param intra the G ranks of this rank's node
 * @param inter the N ranks with this rank's local rank
 * @param rank the group's rank at {@code node * G + local}
 */
record Levels(Communicator intra, Communicator inter, int[] rank) implements AutoCloseable {

  /**
   * Splits the group by its nodes; all members call it.
   *
   * @return empty if two levels cannot help: all ranks on one node, one rank per node, or nodes
   *     with different numbers of ranks
   */
  static Optional<Levels> of(Communicator group) {
    long[] nodes = group.allGather(group.node());
    long[] names = Arrays.stream(nodes).distinct().sorted().toArray();
    int[][] ranks =
        Arrays.stream(names)
            .mapToObj(
                name ->
                    IntStream.range(0, nodes.length).filter(rank -> nodes[rank] == name).toArray())
            .toArray(int[][]::new);
    int local = ranks[0].length;
    if (ranks.length == 1 || local == 1 && nodes.length == ranks.length) {
      return Optional.empty();
    }
    if (Arrays.stream(ranks).anyMatch(onNode -> onNode.length != local)) {
      if (group.rank() == 0) {
        System.getLogger(Levels.class.getName())
            .log(
                System.Logger.Level.WARNING,
                group.name()
                    + ": nodes with different numbers of ranks "
                    + Arrays.toString(
                        Arrays.stream(ranks).mapToInt(onNode -> onNode.length).toArray())
                    + ": rows are exchanged flat, not hierarchically");
      }
      return Optional.empty();
    }
    int[] rank = Arrays.stream(ranks).flatMapToInt(Arrays::stream).toArray();
    int position =
        IntStream.range(0, rank.length)
            .filter(i -> rank[i] == group.rank())
            .findFirst()
            .orElseThrow();
    int node = position / local;
    int index = position % local;
    return Optional.of(
        new Levels(
            group.split(node, index, group.name() + " node " + node),
            group.split(index, node, group.name() + " across nodes " + index),
            rank));
  }

  int nodes() {
    return inter.size();
  }

  int local() {
    return intra.size();
  }

  /** The rank of the i-th block when blocks are ordered by local rank, then by node. */
  int byLocal(int i) {
    return rank[i % nodes() * local() + i / nodes()];
  }

  /** The source of the i-th block after the first half: [local][node]. */
  int source(int i) {
    return rank[inter.rank() * local() + i / nodes()];
  }

  /** From [local][node] to [node][local]. */
  int byNode(int i) {
    return i % local() * nodes() + i / local();
  }

  /**
   * The first half of an all-to-all of numbers: within the node.
   *
   * @param numbers by destination, equally many for each rank
   * @return the numbers that this node's ranks have for ranks with this local rank: [local][node]
   */
  long[] toNode(long[] numbers) {
    int each = numbers.length / rank.length;
    long[] packed = new long[numbers.length];
    for (int i = 0; i < rank.length; i++) {
      System.arraycopy(numbers, byLocal(i) * each, packed, i * each, each);
    }
    return intra.allToAll(packed);
  }

  /**
   * The second half of an all-to-all of numbers: between the nodes.
   *
   * @return the numbers for this rank, by source
   */
  long[] acrossNodes(long[] between) {
    int each = between.length / rank.length;
    long[] regrouped = new long[between.length];
    for (int i = 0; i < rank.length; i++) {
      System.arraycopy(between, byNode(i) * each, regrouped, i * each, each);
    }
    long[] unsorted = inter.allToAll(regrouped);
    long[] sorted = new long[between.length];
    for (int i = 0; i < rank.length; i++) {
      System.arraycopy(unsorted, i * each, sorted, rank[i] * each, each);
    }
    return sorted;
  }

  void at(String location) {
    intra.at(location);
    inter.at(location);
  }

  @Override
  public void close() {
    intra.close();
    inter.close();
  }
}
