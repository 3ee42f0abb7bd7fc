package panamoe.plan;

import java.math.BigInteger;
import panamoe.parallel.Topology;

/**
 * The α–β (latency and bandwidth) times of a step's collectives. Ranks are numbered node by node.
 *
 * @param devices number in use on each node
 */
public record ExchangeTime(Node node, int devices, Topology topology, Optimizations optimizations) {
  public ExchangeTime(Node node, Topology topology, Optimizations optimizations) {
    this(node, Math.min(node.devices(), topology.ranks()), topology, optimizations);
  }

  /**
   * The rows that a tensor group sends to experts.
   *
   * @param number of rows
   * @param bytes of all rows together
   * @param unevenness rows of the most loaded rank over the mean; all wait for that rank
   */
  public record Rows(double number, double bytes, double unevenness) {
    /** Rows that spread evenly over the ranks. */
    public Rows(double number, double bytes) {
      this(number, bytes, 1);
    }

    /** Bytes that the most loaded rank receives, and returns. */
    private double most() {
      return bytes * unevenness;
    }

    /**
     * Bytes that a node gathers for the most loaded rank and for its counterparts on the other
     * nodes. All ranks but the most loaded one receive equally many.
     */
    private double gathered(int degree, int nodes) {
      double others = (degree - unevenness) / (degree - 1);
      return bytes * (unevenness + (nodes - 1) * others) / nodes;
    }

    /**
     * One of several equal parts. The first part has a row of every block that is not empty, so it
     * sends to as many ranks as all rows do.
     */
    private Rows part(int parts) {
      return new Rows(number, bytes / parts, unevenness);
    }
  }

  /**
   * Seconds of a layer's exchange: dispatch and combine.
   *
   * @param degree number of ranks that the experts are spread over
   */
  public double exchange(int degree, Rows rows) {
    return there(degree, rows) + back(degree, rows);
  }

  /**
   * The exposed seconds of an exchange: those that do not overlap with computation. The backward
   * pass mirrors the forward and takes as long, with its own computing times.
   *
   * @param beside seconds of computation that overlaps with the first dispatch
   * @param experts seconds of the experts
   */
  double waiting(int degree, Rows rows, double beside, double experts) {
    int parts = optimizations.overlap();
    if (parts == 0 || staysHere(degree)) {
      return exchange(degree, rows);
    }
    // All parts are sent at once, one after the other. Each returns when its experts have computed.
    // In training a part takes an even share of that time, because large products hide that weights
    // are read again.
    double there = there(degree, rows.part(parts));
    double back = back(degree, rows.part(parts));
    double moved = parts * there;
    double computed = beside;
    for (int part = 0; part < parts; part++) {
      computed = Math.max(computed, (part + 1) * there) + experts / parts;
      moved = Math.max(moved, computed) + back;
    }
    return moved - beside - experts;
  }

  /**
   * True if no exchange is needed: each rank of a tensor group has all rows and a slice of every
   * expert.
   */
  private boolean staysHere(int degree) {
    return degree == 1 && !topology.sharesRows();
  }

  private double there(int degree, Rows rows) {
    if (staysHere(degree)) {
      return 0;
    }
    double seconds = oneWay(degree, rows);
    return gathers()
        ? seconds + node.copy().seconds(rows.bytes / topology.tensorDegree())
        : seconds;
  }

  private double back(int degree, Rows rows) {
    if (staysHere(degree)) {
      return allReduce(rows.bytes);
    }
    double seconds = oneWay(degree, rows);
    return gathers()
        ? seconds + allGather(topology.tensorDegree(), rows.bytes) + node.copy().seconds(rows.bytes)
        : seconds;
  }

  /** True if each tensor rank sends a part of the rows, and an all-gather joins the results. */
  private boolean gathers() {
    return optimizations.coordinated() && topology.tensorDegree() > 1;
  }

  private double oneWay(int degree, Rows rows) {
    if (!optimizations.coordinated()) {
      return allToAll(degree, rows);
    }
    int slices = topology.expertSlices();
    Rows part = rows.part(topology.tensorDegree());
    if (slices == 1) {
      return allToAll(degree, part);
    }
    // Expert slices all-gather the rows that any of them received; on the way back they
    // reduce-scatter their partial sums.
    double came = slices * part.most();
    return allToAll(degree, part) + allGather(slices, came) + node.copy().seconds(came);
  }

  /** An all-reduce over the tensor ranks. */
  double allReduce(double bytes) {
    int tensor = topology.tensorDegree();
    return tensor == 1 ? 0 : new Ring(node, tensor, Math.min(devices, tensor)).seconds(2, bytes);
  }

  /** True if the expert group has several nodes with several ranks on each. */
  public boolean hasLevels(int degree) {
    int local = local(degree);
    // A group that begins inside a node has unequal numbers of ranks on its nodes.
    boolean alike = degree > topology.dataDegree() || local == dataOnNode();
    return local > 1 && local < degree && alike;
  }

  private double allGather(int ranks, double bytes) {
    return new Ring(node, ranks, ranks).seconds(1, bytes);
  }

  private double allToAll(int degree, Rows rows) {
    return switch (optimizations.exchange()) {
      case FLAT -> flat(degree, rows);
      case HIERARCHICAL -> hasLevels(degree) ? hierarchical(degree, rows) : flat(degree, rows);
      case AUTO ->
          hasLevels(degree)
              ? Math.min(flat(degree, rows), hierarchical(degree, rows))
              : flat(degree, rows);
    };
  }

  private double flat(int degree, Rows rows) {
    int local = local(degree);
    if (degree == 1) {
      return 0;
    }
    double others = peers(degree, local - 1, degree, rows);
    if (local == degree) {
      return node.near().seconds(others, rows.most() * apart(degree));
    }
    int remote = degree - local;
    return node.far().seconds(peers(degree, remote, degree, rows), rows.most() * remote / degree)
        + others * node.near().perPeer().value();
  }

  private double hierarchical(int degree, Rows rows) {
    int local = local(degree);
    int nodes = degree / local;
    double gathered = rows.gathered(degree, nodes);
    return node.near().seconds(peers(degree, local - 1, local, rows), gathered * apart(local))
        + node.far().seconds(peers(degree, nodes - 1, nodes, rows), rows.most() * apart(nodes))
        + node.copy().seconds(gathered)
        + node.copy().seconds(rows.most());
  }

  /**
   * The largest number of peers that a rank sends rows to.
   *
   * @param others possible peers, of the {@code among} ranks or nodes that rows go to
   */
  private double peers(int degree, int others, int among, Rows rows) {
    return optimizations.skipsEmpty()
        ? ExpectedMaximum.of(others, 1 - Math.pow(1 - 1.0 / among, rows.number), degree)
        : others;
  }

  /**
   * The smallest number of an expert group's ranks on one node. Groups begin at multiples of their
   * degree, nodes at multiples of their data ranks; the smallest overlap of the two is their
   * greatest common divisor.
   */
  private int local(int degree) {
    int data = topology.dataDegree();
    return degree <= data
        ? BigInteger.valueOf(degree).gcd(BigInteger.valueOf(dataOnNode())).intValue()
        : Math.min(data, dataOnNode()) * (degree / data);
  }

  private int dataOnNode() {
    return Math.max(1, devices / topology.tensorDegree());
  }

  /** The share of evenly spread bytes that leaves the rank. */
  private static double apart(int ranks) {
    return 1 - 1.0 / ranks;
  }
}
