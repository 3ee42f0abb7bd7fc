package panamoe.comm.exchange;

import java.util.Arrays;
import java.util.stream.LongStream;
import panamoe.comm.exchange.Workspace.Slot;
import panamoe.tensor.RowBlocks;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The two-level all-to-all of DeepSpeed-MoE §5.3, for uneven counts. A row for rank (m, k), node m
 * and local rank k, goes first to local rank k of this node, then from there to node m.
 *
 * <ol>
 *   <li>pack: [destination] to [k][m]
 *   <li>within the node: a message to each local rank k; arrives as [source's local rank][m]
 *   <li>regroup: to [m][source's local rank]
 *   <li>between nodes, among equal local ranks: a message to each node m; arrives as [source's
 *       node][local rank]
 *   <li>sort: to [source]; the identity if ranks are numbered node by node
 * </ol>
 */
final class HierarchicalAllToAll implements AllToAll {
  private final Levels levels;
  private final Workspace workspace;
  private final RowBlocks pack;
  private final RowBlocks regroup;
  private final RowBlocks sort;
  private final long[] intraSends;
  private final long[] intraReceives;
  private final long[] interSends;
  private final long[] interReceives;
  private final boolean sorted;

  /**
   * @param sends rows for each rank
   * @param between rows that each rank of this node has for each rank with this local rank:
   *     [local][node]
   * @param receives rows from each rank
   */
  HierarchicalAllToAll(
      Levels levels, Workspace workspace, long[] sends, long[] between, long[] receives) {
    int nodes = levels.nodes();
    int local = levels.local();
    this.levels = levels;
    this.workspace = workspace;
    this.pack = BlockLayout.of(sends, levels::byLocal);
    this.regroup = BlockLayout.of(between, levels::byNode);
    long[] byNode = Arrays.stream(levels.rank()).mapToLong(rank -> receives[rank]).toArray();
    int[] position = new int[receives.length];
    Arrays.setAll(position, i -> i);
    for (int i = 0; i < position.length; i++) {
      position[levels.rank()[i]] = i;
    }
    this.sort = BlockLayout.of(byNode, rank -> position[rank]);
    this.sorted = Arrays.equals(sort.from(), sort.to());
    this.intraSends = new long[local];
    this.intraReceives = new long[local];
    this.interSends = new long[nodes];
    this.interReceives = new long[nodes];
    for (int k = 0; k < local; k++) {
      for (int m = 0; m < nodes; m++) {
        intraSends[k] += sends[levels.rank()[m * local + k]];
        intraReceives[k] += between[k * nodes + m];
        interSends[m] += between[k * nodes + m];
        interReceives[m] += byNode[m * local + k];
      }
    }
  }

  @Override
  public void forward(Tensor rows, Tensor arrived) {
    try (TensorScope scope = workspace.scope()) {
      Tensor packed = workspace.take(scope, Slot.PACKED, rows, sum(intraSends));
      Tensor between = workspace.take(scope, Slot.BETWEEN, rows, sum(intraReceives));
      Tensor regrouped = workspace.take(scope, Slot.REGROUPED, rows, sum(interSends));
      Tensor unsorted =
          sorted ? arrived : workspace.take(scope, Slot.UNSORTED, rows, sum(interReceives));
      workspace.copy(pack, rows, packed);
      levels.intra().allToAll(packed, intraSends, between, intraReceives);
      workspace.copy(regroup, between, regrouped);
      levels.inter().allToAll(regrouped, interSends, unsorted, interReceives);
      if (!sorted) {
        workspace.copy(sort, unsorted, arrived);
      }
    }
  }

  @Override
  public void reverse(Tensor arrived, Tensor rows) {
    try (TensorScope scope = workspace.scope()) {
      Tensor packed = workspace.take(scope, Slot.PACKED, rows, sum(intraSends));
      Tensor between = workspace.take(scope, Slot.BETWEEN, rows, sum(intraReceives));
      Tensor regrouped = workspace.take(scope, Slot.REGROUPED, rows, sum(interSends));
      Tensor unsorted =
          sorted ? arrived : workspace.take(scope, Slot.UNSORTED, rows, sum(interReceives));
      if (!sorted) {
        workspace.copy(sort.inverse(), arrived, unsorted);
      }
      levels.inter().allToAll(unsorted, interReceives, regrouped, interSends);
      workspace.copy(regroup.inverse(), regrouped, between);
      levels.intra().allToAll(between, intraReceives, packed, intraSends);
      workspace.copy(pack.inverse(), packed, rows);
    }
  }

  private static long sum(long[] rows) {
    return LongStream.of(rows).sum();
  }
}
