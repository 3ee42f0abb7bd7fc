package panamoe.comm;

import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * The state of a group's member that does not depend on the transport: ranks, nodes, location and
 * traffic.
 */
public abstract class GroupMember implements Communicator {
  private final int rank;
  private final int[] ranks;
  private final int[] nodes;
  private final TrafficCounter traffic;
  private String location = "";

  /**
   * The members of a group that gave the same color when it was split, ordered by key, then by
   * rank.
   *
   * @param members ranks in the group that was split
   * @param rank of this member among them
   * @param ranks of the members in the world
   * @param nodes of the members
   */
  protected record Part(int[] members, int rank, int[] ranks, int[] nodes) {}

  /**
   * @param rank of this member in the group
   * @param ranks of the members in the world
   * @param nodes of the members
   * @param parent the group that this one was split from, or null
   */
  protected GroupMember(int rank, int[] ranks, int[] nodes, GroupMember parent) {
    this.rank = rank;
    this.ranks = ranks;
    this.nodes = nodes;
    this.traffic = new TrafficCounter(parent == null ? null : parent.traffic, rank, nodes);
  }

  @Override
  public final int rank() {
    return rank;
  }

  @Override
  public final int size() {
    return ranks.length;
  }

  @Override
  public final int node() {
    return nodes[rank];
  }

  @Override
  public final Traffic traffic() {
    return traffic.sent();
  }

  @Override
  public void at(String location) {
    this.location = location;
  }

  /** Where in the model the next call happens. */
  protected final String location() {
    return location;
  }

  /** The rank in the world of each member. */
  protected final int[] ranks() {
    return ranks;
  }

  /** This member's rank in the world. */
  protected final int rankInWorld() {
    return ranks[rank];
  }

  protected final void count(CollectiveCall call) {
    traffic.count(call);
  }

  /**
   * The members with this one's color.
   *
   * @param wishes color and key of each member, concatenated by member
   */
  protected final Part part(long[] wishes) {
    int[] members =
        IntStream.range(0, size())
            .filter(member -> wishes[2 * member] == wishes[2 * rank])
            .boxed()
            .sorted(Comparator.comparingLong(member -> wishes[2 * member + 1]))
            .mapToInt(Integer::intValue)
            .toArray();
    return new Part(
        members,
        IntStream.range(0, members.length)
            .filter(i -> members[i] == rank)
            .findFirst()
            .orElseThrow(),
        Arrays.stream(members).map(member -> ranks[member]).toArray(),
        Arrays.stream(members).map(member -> nodes[member]).toArray());
  }
}
