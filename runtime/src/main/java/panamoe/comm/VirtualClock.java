package panamoe.comm;

import java.util.Arrays;
import java.util.function.Consumer;
import panamoe.comm.VirtualSpan.LinkTimes;

/**
 * Simulated communication time on links of given cost, for many ranks on few cores. In a collective
 * a member first posts all of its messages to its links, one after the other. Then its links within
 * the node and those between nodes move bytes in parallel ({@link LinkSimulation}). A member ends
 * with the last of its own messages. Thread-safe, and deterministic if each rank uses one thread.
 */
final class VirtualClock {
  /**
   * The links of a world.
   *
   * @param near within a node
   * @param far between nodes
   * @param scale bytes that each byte of a tensor stands for
   * @param watcher receives every span, on any thread
   */
  record Links(LinkCost near, LinkCost far, double scale, Consumer<VirtualSpan> watcher) {
    static final Links FREE = new Links(LinkCost.FREE, LinkCost.FREE, 1, _ -> {});
  }

  private final int[] nodes;
  private final Links links;
  private final double[] seconds;
  private final boolean free;

  /**
   * @param nodes of the ranks of the world
   */
  VirtualClock(int[] nodes, Links links) {
    this.nodes = nodes;
    this.links = links;
    this.seconds = new double[nodes.length];
    this.free = links.near().equals(LinkCost.FREE) && links.far().equals(LinkCost.FREE);
  }

  /** Whether links are free, so that communication takes no time. */
  boolean free() {
    return free;
  }

  synchronized double seconds(int rank) {
    return seconds[rank];
  }

  /** Advances a rank's time by that of its computing. */
  void advance(int rank, String what, double span) {
    double start;
    synchronized (this) {
      start = seconds[rank];
      seconds[rank] += span;
    }
    links.watcher().accept(new VirtualSpan(rank, what, start, start + span, LinkTimes.NONE));
  }

  /** Advances the times of a group's members by a collective. */
  void advance(String group, int[] ranks, CollectiveCall[] calls) {
    if (free) {
      return;
    }
    double[] start = starts(ranks);
    double[] end = start.clone();
    if (calls[0].collective() == Collective.BARRIER || calls[0].collective() == Collective.SPLIT) {
      Arrays.fill(end, Arrays.stream(start).max().orElseThrow());
      set(ranks, end);
      return;
    }
    int[] nodesOf = Arrays.stream(ranks).map(rank -> nodes[rank]).toArray();
    int[][] order = MessageOrder.of(nodesOf);
    double[] given = start.clone();
    double[][] near = seconds(nodesOf, calls, links.near(), true, given);
    double[][] far = seconds(nodesOf, calls, links.far(), false, given);
    LinkSimulation nearEvents = new LinkSimulation(order, given, near);
    LinkSimulation farEvents = new LinkSimulation(order, given, far);
    for (int i = 0; i < ranks.length; i++) {
      end[i] = Math.max(nearEvents.sent()[i], farEvents.sent()[i]);
      end[i] = Math.max(end[i], arrived(nearEvents, i, links.near()));
      end[i] = Math.max(end[i], arrived(farEvents, i, links.far()));
    }
    set(ranks, end);
    String location = calls[0].location();
    String what =
        calls[0].collective().words()
            + " of "
            + group
            + (location.isEmpty() ? "" : " at " + location);
    for (int i = 0; i < ranks.length; i++) {
      LinkTimes busy =
          new LinkTimes(
              nearEvents.sending()[i],
              nearEvents.receiving()[i],
              farEvents.sending()[i],
              farEvents.receiving()[i]);
      links.watcher().accept(new VirtualSpan(ranks[i], what, start[i], end[i], busy));
    }
  }

  /**
   * Seconds of the bytes from each member to each over links of one kind; 0: no message.
   *
   * @param given when each member has posted its messages
   */
  private double[][] seconds(
      int[] nodesOf, CollectiveCall[] calls, LinkCost link, boolean within, double[] given) {
    int members = nodesOf.length;
    double[][] seconds = new double[members][members];
    for (int from = 0; from < members; from++) {
      double scale = calls[from].dtype() == null ? 1 : links.scale();
      long messages = 0;
      for (int to = 0; to < members; to++) {
        if (from != to && (nodesOf[from] == nodesOf[to]) == within) {
          long bytes = calls[from].bytes(from, to, members);
          messages += calls[from].messages(from, to, members);
          // A message counts even if its bytes take no time.
          seconds[from][to] =
              bytes == 0 ? 0 : Math.max(scale * bytes / link.bytesPerSecond(), Double.MIN_NORMAL);
        }
      }
      given[from] += messages * link.secondsPerMessage();
    }
    return seconds;
  }

  /** When the last message to a member has arrived; 0 if it gets no message. */
  private static double arrived(LinkSimulation events, int member, LinkCost link) {
    return events.receiving()[member] == 0 ? 0 : events.received()[member] + link.latency();
  }

  private synchronized double[] starts(int[] ranks) {
    return Arrays.stream(ranks).mapToDouble(rank -> seconds[rank]).toArray();
  }

  private synchronized void set(int[] ranks, double[] end) {
    for (int i = 0; i < ranks.length; i++) {
      seconds[ranks[i]] = end[i];
    }
  }
}
