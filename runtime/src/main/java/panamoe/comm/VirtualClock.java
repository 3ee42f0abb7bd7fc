package panamoe.comm;

/**
 * Simulated communication time on links of given cost, for many ranks on few cores. A collective
 * starts when its last member arrives. Each member's time is the longer of its sends and its
 * receives, one message after the other; the collective ends for all when the slowest member is
 * done. Thread-safe.
 */
final class VirtualClock {
  private final int[] nodes;
  private final LinkCost near;
  private final LinkCost far;
  private final double[] seconds;
  private final boolean free;

  /**
   * @param nodes of the ranks of the world
   */
  VirtualClock(int[] nodes, LinkCost near, LinkCost far) {
    this.nodes = nodes;
    this.near = near;
    this.far = far;
    this.seconds = new double[nodes.length];
    this.free = near.equals(LinkCost.FREE) && far.equals(LinkCost.FREE);
  }

  /** Whether links are free, so that communication takes no time. */
  boolean free() {
    return free;
  }

  synchronized double seconds(int rank) {
    return seconds[rank];
  }

  /** Advances a rank's time by that of its computing. */
  synchronized void advance(int rank, double span) {
    seconds[rank] += span;
  }

  void advance(int[] ranks, CollectiveCall[] calls) {
    if (free) {
      return;
    }
    int members = ranks.length;
    double[] sending = new double[members];
    double[] receiving = new double[members];
    for (int from = 0; from < members; from++) {
      for (int to = 0; to < members; to++) {
        if (from != to) {
          LinkCost link = nodes[ranks[from]] == nodes[ranks[to]] ? near : far;
          double cost =
              link.seconds(
                  calls[from].messages(from, to, members), calls[from].bytes(from, to, members));
          sending[from] += cost;
          receiving[to] += cost;
        }
      }
    }
    double longest = 0;
    for (int i = 0; i < members; i++) {
      longest = Math.max(longest, Math.max(sending[i], receiving[i]));
    }
    synchronized (this) {
      double start = 0;
      for (int rank : ranks) {
        start = Math.max(start, seconds[rank]);
      }
      for (int rank : ranks) {
        seconds[rank] = Math.max(seconds[rank], start + longest);
      }
    }
  }
}
