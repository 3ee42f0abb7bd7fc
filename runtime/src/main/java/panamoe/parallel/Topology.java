package panamoe.parallel;

/**
 * How the ranks of a world share a model: {@code world = data x tensor}, and for each MoE layer
 * {@code data = expert-data x expert} (DeepSpeed-MoE §4.1.3, §5.2).
 *
 * <p>Tensor ranks stand next to each other, then the expert ranks of a layer: {@code rank =
 * (expertData * EP + expert) * TP + tensor}. Every data rank has tokens of its own; tensor ranks
 * share theirs.
 *
 * @param ranks W
 * @param expertDegree EP, the most ways that the experts of a layer are spread
 * @param tensorDegree TP, the ways that attention heads and MLPs are sliced
 * @param sliceExperts whether experts are sliced like MLPs; otherwise every tensor rank holds them
 *     whole, and computes them for its part of the rows
 */
public record Topology(int ranks, int expertDegree, int tensorDegree, boolean sliceExperts) {
  /** One rank that holds everything. */
  public static final Topology ONE = new Topology(1, 1, 1, false);

  public Topology {
    requirePositive("ranks", ranks);
    requirePositive("the expert degree", expertDegree);
    requirePositive("the tensor degree", tensorDegree);
    if (ranks % tensorDegree != 0) {
      throw new IllegalArgumentException(
          "a world of " + ranks + " ranks does not divide into tensor groups of " + tensorDegree);
    }
    int data = ranks / tensorDegree;
    if (data % expertDegree != 0) {
      throw new IllegalArgumentException(
          "a world of "
              + ranks
              + " ranks has "
              + data
              + " data ranks"
              + (tensorDegree == 1 ? "" : " beside a tensor degree of " + tensorDegree)
              + ", which do not divide into expert groups of "
              + expertDegree);
    }
    if (sliceExperts && tensorDegree == 1) {
      throw new IllegalArgumentException(
          "experts are sliced over tensor ranks, but the tensor degree is 1");
    }
  }

  /** All ranks by data, and experts spread over all of them, as DeepSpeed-MoE trains (§4.1.3). */
  public static Topology of(int ranks) {
    requirePositive("ranks", ranks);
    return new Topology(ranks, ranks, 1, false);
  }

  /** Ranks with tokens of their own. */
  public int dataDegree() {
    return ranks / tensorDegree;
  }

  /**
   * The ways that a layer of {@code experts} experts is spread: as many as EP and its experts
   * allow, the data ranks divided evenly among them. The expert-data degree is {@code dataDegree()
   * / expertDegree(experts)}.
   */
  public int expertDegree(int experts) {
    int degree = Math.min(experts, expertDegree);
    while (dataDegree() % degree != 0) {
      degree--;
    }
    return degree;
  }

  /** The number of a rank among those with tokens of their own; its tensor ranks have the same. */
  public int data(int rank) {
    return rank / tensorDegree;
  }

  /** The slice of heads and MLPs that a rank holds. */
  public int tensor(int rank) {
    return rank % tensorDegree;
  }

  /** The place of a rank among those that hold all experts together, where {@code degree} do. */
  public int expert(int rank, int degree) {
    return data(rank) % degree;
  }

  /** The number of those {@code degree} ranks among the others that hold all experts. */
  public int expertData(int rank, int degree) {
    return data(rank) / degree;
  }

  /** Whether tensor ranks, which have the same rows, each take a part of them to whole experts. */
  public boolean sharesRows() {
    return tensorDegree > 1 && !sliceExperts;
  }

  /**
   * The first expert of place {@code place} among {@code degree}: experts are dealt in order, as
   * evenly as they go.
   */
  public static int firstExpert(int experts, int degree, int place) {
    return (int) ((long) experts * place / degree);
  }

  private static void requirePositive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " is " + value + ", expected 1 or more");
    }
  }
}
