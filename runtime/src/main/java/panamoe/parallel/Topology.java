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
 * @param sliceExperts whether experts are sliced over the tensor ranks like MLPs; otherwise they
 *     are replicated there, and each tensor rank computes its part of the rows
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

  /**
   * Data parallelism over all ranks, with experts spread over all of them, as DeepSpeed-MoE trains
   * (§4.1.3).
   */
  public static Topology of(int ranks) {
    requirePositive("ranks", ranks);
    return new Topology(ranks, ranks, 1, false);
  }

  /** The number of data ranks: ranks (or tensor groups) with different tokens. */
  public int dataDegree() {
    return ranks / tensorDegree;
  }

  /**
   * The expert degree of a layer of {@code experts} experts: the largest divisor of the data degree
   * that is at most EP and at most {@code experts}. The expert-data degree is {@code dataDegree() /
   * expertDegree(experts)}.
   */
  public int expertDegree(int experts) {
    int degree = Math.min(experts, expertDegree);
    while (dataDegree() % degree != 0) {
      degree--;
    }
    return degree;
  }

  /** Experts of the rank that holds most of a layer of {@code experts}. */
  public int mostExperts(int experts) {
    return Math.ceilDiv(experts, expertDegree(experts));
  }

  /** The data index of a rank; ranks of one tensor group share it. */
  public int data(int rank) {
    return rank / tensorDegree;
  }

  /** The slice of heads and MLPs that a rank holds. */
  public int tensor(int rank) {
    return rank % tensorDegree;
  }

  /** The place of a rank among the {@code degree} ranks that together hold all experts. */
  public int expert(int rank, int degree) {
    return data(rank) % degree;
  }

  /**
   * The index of the group of {@code degree} ranks that a rank is in; each such group holds all
   * experts.
   */
  public int expertData(int rank, int degree) {
    return data(rank) / degree;
  }

  /** Whether tensor ranks split their common rows, because experts are replicated over them. */
  public boolean sharesRows() {
    return tensorDegree > 1 && !sliceExperts;
  }

  /**
   * The first expert of place {@code place} among {@code degree}: experts are split in order, as
   * evenly as possible.
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
