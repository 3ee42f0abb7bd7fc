package panamoe.plan;

import java.math.BigInteger;
import panamoe.parallel.Topology;

/**
 * The α–β times of collectives in a step. Ranks are numbered node by node.
 *
 * @param devices of a node that are in use
 */
public record ExchangeTime(Node node, int devices, Topology topology, Optimizations optimizations) {
  public ExchangeTime(Node node, Topology topology, Optimizations optimizations) {
    this(node, Math.min(node.devices(), topology.ranks()), topology, optimizations);
  }

  /**
   * What a tensor group sends.
   *
   * @param number of rows
   * @param bytes of all of them
   * @param unevenness how many times a mean rank's rows the rank gets that all wait for
   */
  public record Rows(double number, double bytes, double unevenness) {
    /** Rows of which all ranks get as many. */
    public Rows(double number, double bytes) {
      this(number, bytes, 1);
    }

    /** Bytes that come to the fullest rank, and return. */
    private double most() {
      return bytes * unevenness;
    }

    /**
     * Bytes that a node gathers for the fullest rank and the ranks of its place on other nodes, to
     * which all but the fullest get equally many.
     */
    private double gathered(int degree, int nodes) {
      double others = (degree - unevenness) / (degree - 1);
      return bytes * (unevenness + (nodes - 1) * others) / nodes;
    }

    /**
     * One of several parts. Of every block that is not empty the first part has a row, so that it
     * goes to as many ranks as all rows do.
     */
    private Rows part(int parts) {
      return new Rows(number, bytes / parts, unevenness);
    }
  }

  /**
   * Seconds of a layer's exchange, out and back.
   *
   * @param degree the ranks among which the experts are spread
   */
  public double exchange(int degree, Rows rows) {
    return there(degree, rows) + back(degree, rows);
  }

  /**
   * The seconds of an exchange, less what a rank computes meanwhile where the two overlap. The
   * backward is the mirror image, which takes as long with its own times of computing.
   *
   * @param beside s of what is computed while the first rows come
   * @param experts s of the experts
   */
  double waiting(int degree, Rows rows, double beside, double experts) {
    int parts = optimizations.overlap();
    if (parts == 0 || staysHere(degree)) {
      return exchange(degree, rows);
    }
    // All parts are sent at once, one after the other. Each returns once its experts have computed,
    // which takes an even share in training: its products hide that experts are read again.
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

  /** Whether each rank of a tensor group has all rows and a slice of every expert already. */
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

  /** Whether a rank cuts its part out of the rows, and parts are gathered at the end. */
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
    // Slices gather the rows that came to any of them; on the way back they sum their terms.
    double came = slices * part.most();
    return allToAll(degree, part) + allGather(slices, came) + node.copy().seconds(came);
  }

  /** A sum over the tensor ranks. */
  double allReduce(double bytes) {
    int tensor = topology.tensorDegree();
    return tensor == 1 ? 0 : new Ring(node, tensor, Math.min(devices, tensor)).seconds(2, bytes);
  }

  /** Whether the ranks among which experts are spread are several on several nodes each. */
  public boolean hasLevels(int degree) {
    int local = local(degree);
    // Groups that begin within a node have nodes of unlike numbers.
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
   * The peers that get a row, of the rank that has most of these.
   *
   * @param others that may get one, of the {@code among} ranks or nodes that all rows are for
   */
  private double peers(int degree, int others, int among, Rows rows) {
    return optimizations.skipsEmpty()
        ? ExpectedMost.of(others, 1 - Math.pow(1 - 1.0 / among, rows.number), degree)
        : others;
  }

  /**
   * The ranks of an expert group that are on one node, where these are fewest. Groups begin at
   * multiples of their degree and nodes at multiples of their data ranks, which come as near to one
   * another as the greatest common divisor.
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

  /** The share of even parts that goes to others. */
  private static double apart(int ranks) {
    return 1 - 1.0 / ranks;
  }
}
