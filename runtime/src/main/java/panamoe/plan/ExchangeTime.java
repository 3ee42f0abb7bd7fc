package panamoe.plan;

import panamoe.parallel.Topology;

/**
 * The α–β times of collectives in a step. Ranks are numbered node by node.
 *
 * @param cards of a node that are in use
 */
public record ExchangeTime(Node node, int cards, Topology topology, Optimizations optimizations) {
  public ExchangeTime(Node node, Topology topology, Optimizations optimizations) {
    this(node, Math.min(node.cards(), topology.ranks()), topology, optimizations);
  }

  /**
   * Seconds of a layer's exchange, out and back.
   *
   * @param degree the ranks among which the experts are spread
   * @param bytes of the rows that a tensor group sends
   */
  public double exchange(int degree, double bytes) {
    return there(degree, bytes) + back(degree, bytes);
  }

  /**
   * As above, less what a rank computes meanwhile: where it overlaps, it waits a shorter time. The
   * backward is the mirror image, which takes as long with its own times of computing.
   *
   * @param beside s of what is computed while the first rows come
   * @param experts s of the experts
   */
  double waiting(int degree, double bytes, double beside, double experts) {
    int parts = optimizations.overlap();
    if (parts == 0 || staysHere(degree)) {
      return exchange(degree, bytes);
    }
    // All parts are sent at once, one after the other. Each returns once its experts have computed.
    double there = there(degree, bytes / parts);
    double back = back(degree, bytes / parts);
    double moved = parts * there;
    double computed = beside;
    for (int part = 0; part < parts; part++) {
      computed = Math.max(computed, (part + 1) * there) + experts / parts;
      moved = Math.max(moved, computed) + back;
    }
    return moved - beside - experts;
  }

  /** Whether each rank of a tensor group has all rows and a slice of every expert already. */
  private boolean staysHere(int degree) {
    return degree == 1 && !topology.sharesRows();
  }

  private double there(int degree, double bytes) {
    if (staysHere(degree)) {
      return 0;
    }
    double seconds = oneWay(degree, bytes);
    return gathers() ? seconds + node.copy().seconds(bytes / topology.tensorDegree()) : seconds;
  }

  private double back(int degree, double bytes) {
    if (staysHere(degree)) {
      return allReduce(bytes);
    }
    double seconds = oneWay(degree, bytes);
    return gathers()
        ? seconds + allGather(topology.tensorDegree(), bytes) + node.copy().seconds(bytes)
        : seconds;
  }

  /** Whether a rank cuts its part out of the rows, and parts are gathered at the end. */
  private boolean gathers() {
    return optimizations.coordinated() && topology.tensorDegree() > 1;
  }

  private double oneWay(int degree, double bytes) {
    if (!optimizations.coordinated()) {
      return allToAll(degree, bytes);
    }
    int slices = topology.expertSlices();
    double part = bytes / topology.tensorDegree();
    if (slices == 1) {
      return allToAll(degree, part);
    }
    // Slices gather the rows that came to any of them; on the way back they sum their terms.
    double came = slices * part;
    return allToAll(degree, part) + allGather(slices, came) + node.copy().seconds(came);
  }

  /** A sum over the tensor ranks of a node: as a reduce-scatter and an all-gather in a ring. */
  double allReduce(double bytes) {
    int tensor = topology.tensorDegree();
    return tensor == 1 ? 0 : node.near().seconds(2 * (tensor - 1), 2 * bytes * apart(tensor));
  }

  /** Whether the ranks among which experts are spread are several on several nodes each. */
  public boolean hasLevels(int degree) {
    int local = local(degree);
    return local > 1 && local < degree && degree % local == 0;
  }

  private double allGather(int ranks, double bytes) {
    return node.near().seconds(ranks - 1, bytes * apart(ranks));
  }

  private double allToAll(int degree, double bytes) {
    return switch (optimizations.exchange()) {
      case FLAT -> flat(degree, bytes);
      case HIERARCHICAL -> hasLevels(degree) ? hierarchical(degree, bytes) : flat(degree, bytes);
      case AUTO ->
          hasLevels(degree)
              ? Math.min(flat(degree, bytes), hierarchical(degree, bytes))
              : flat(degree, bytes);
    };
  }

  private double flat(int degree, double bytes) {
    int local = local(degree);
    if (degree == 1) {
      return 0;
    }
    if (local == degree) {
      return node.near().seconds(degree - 1, bytes * apart(degree));
    }
    int remote = degree - local;
    return node.far().seconds(remote, bytes * remote / degree)
        + (local - 1) * node.near().perPeer().value();
  }

  private double hierarchical(int degree, double bytes) {
    int local = local(degree);
    int nodes = degree / local;
    return node.near().seconds(local - 1, bytes * apart(local))
        + node.far().seconds(nodes - 1, bytes * apart(nodes))
        + 2 * node.copy().seconds(bytes);
  }

  /** The ranks of an expert group that are on one node. */
  private int local(int degree) {
    int dataOnNode = Math.max(1, cards / topology.tensorDegree());
    int data = topology.dataDegree();
    return degree <= data
        ? Math.min(degree, dataOnNode)
        : Math.min(data, dataOnNode) * (degree / data);
  }

  /** The share of even parts that goes to others. */
  private static double apart(int ranks) {
    return 1 - 1.0 / ranks;
  }
}
