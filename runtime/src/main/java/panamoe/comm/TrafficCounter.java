package panamoe.comm;

/**
 * Counts what one member of a group sends, for {@link Communicator#traffic}; a group that was split
 * off counts into its parent too. Messages are those of {@link CollectiveCall#messages}; the
 * underlying library may split or merge them. Thread-safe.
 */
public final class TrafficCounter {
  private final TrafficCounter parent;
  private final int member;
  private final int[] nodes;
  private Traffic sent = Traffic.NONE;

  /**
   * @param parent counter of the group that this one was split from, or null
   * @param member the rank that sends, in this group
   * @param nodes of the members
   */
  public TrafficCounter(TrafficCounter parent, int member, int[] nodes) {
    this.parent = parent;
    this.member = member;
    this.nodes = nodes.clone();
  }

  /** Counts what this member sends in {@code call}. */
  public void count(CollectiveCall call) {
    int[] messages = new int[2];
    long[] bytes = new long[2];
    for (int to = 0; to < nodes.length; to++) {
      if (to != member) {
        int far = nodes[to] == nodes[member] ? 0 : 1;
        messages[far] += call.messages(member, to, nodes.length);
        bytes[far] += call.bytes(member, to, nodes.length);
      }
    }
    add(new Traffic(messages[0], bytes[0], messages[1], bytes[1]));
  }

  public synchronized Traffic sent() {
    return sent;
  }

  private void add(Traffic more) {
    synchronized (this) {
      sent = sent.plus(more);
    }
    if (parent != null) {
      parent.add(more);
    }
  }
}
