package panamoe.parallel;

import panamoe.io.Require;
import panamoe.io.Words;

/**
 * How the ranks of a world share a model: {@code W = data x tensor}, and for each MoE layer {@code
 * W = expert-data x expert x slice} (DeepSpeed-MoE §4.1.3, §5.2).
 *
 * <p>{@code rank = data * TP + tensor}, and {@code tensor = sub * S + slice}. Every data rank has
 * its own tokens; the ranks of a tensor group share theirs. The S ranks of a sub-group slice the
 * same experts and compute the same rows; the TP / S sub-groups of a tensor group split its rows.
 * Sub-groups of the world are numbered {@code sub * D + data} and spread over expert groups: {@code
 * sub * D + data = expertData * EP + expert}.
 *
 * @param ranks W
 * @param expertDegree EP, most ranks that the experts of a layer are spread over: a divisor of the
 *     data degree D, or a multiple of D that divides W / S
 * @param tensorDegree TP, slices of attention heads and MLPs
 * @param expertSlices S, slices of an expert; divides TP
 */
public record Topology(int ranks, int expertDegree, int tensorDegree, int expertSlices) {
  /** One rank that holds everything. */
  public static final Topology ONE = new Topology(1, 1, 1, 1);

  public Topology {
    requirePositive("ranks", ranks);
    requirePositive("the expert degree", expertDegree);
    requirePositive("the tensor degree", tensorDegree);
    Require.that(
        ranks % tensorDegree == 0,
        "a world of %s ranks does not divide into tensor groups of %s",
        ranks,
        tensorDegree);
    requirePositive("the number of expert slices", expertSlices);
    if (tensorDegree % expertSlices != 0) {
      throw Require.refusal(
          "experts are sliced over tensor ranks, but the tensor degree is %s, which %s expert"
              + " slices do not divide",
          tensorDegree, expertSlices);
    }
    int data = ranks / tensorDegree;
    if (!isDegree(expertDegree, data, ranks / expertSlices)) {
      String suffix = tensorDegree == 1 ? "" : " with a tensor degree of " + tensorDegree;
      String larger =
          "; a larger expert degree is a multiple of %s that divides %s (ranks / expert slices)";
      throw Require.refusal(
          "a world of %s ranks has %s data ranks%s, which do not divide into expert groups of %s%s",
          ranks,
          data,
          suffix,
          expertDegree,
          tensorDegree == expertSlices ? "" : Words.of(larger, data, ranks / expertSlices));
    }
  }

  private static boolean isDegree(int degree, int data, int most) {
    return data % degree == 0 || degree % data == 0 && most % degree == 0;
  }

  /** Data parallelism over all ranks, with experts spread over all ranks (DeepSpeed-MoE §4.1.3). */
  public static Topology of(int ranks) {
    requirePositive("ranks", ranks);
    return new Topology(ranks, ranks, 1, 1);
  }

  /** The number of data ranks: ranks (or tensor groups) with different tokens. */
  public int dataDegree() {
    return ranks / tensorDegree;
  }

  /**
   * The expert degree of a layer of {@code experts} experts: the largest that is at most EP and at
   * most {@code experts}, and divides the data degree, or is a multiple of it that divides W / S.
   */
  public int expertDegree(int experts) {
    int degree = Math.min(experts, expertDegree);
    while (!isDegree(degree, dataDegree(), ranks / expertSlices)) {
      degree--;
    }
    return degree;
  }

  /**
   * The number of expert groups of degree {@code degree}: each sub-group of S ranks is in one of
   * them.
   */
  public int expertDataDegree(int degree) {
    return ranks / expertSlices / degree;
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

  /** The sub-group of its tensor group that a rank is in. */
  public int sub(int rank) {
    return tensor(rank) / expertSlices;
  }

  /** The slice of experts that a rank holds. */
  public int slice(int rank) {
    return tensor(rank) % expertSlices;
  }

  /**
   * The expert rank: a rank's index among the {@code degree} ranks that together hold all experts.
   */
  public int expert(int rank, int degree) {
    return subGroup(rank) % degree;
  }

  /**
   * The index of the group of {@code degree} sub-groups that a rank is in; each such group holds
   * all experts.
   */
  public int expertData(int rank, int degree) {
    return subGroup(rank) / degree;
  }

  private int subGroup(int rank) {
    return sub(rank) * dataDegree() + data(rank);
  }

  /** Whether the ranks of a tensor group split its rows: it has several sub-groups. */
  public boolean sharesRows() {
    return tensorDegree > expertSlices;
  }

  /**
   * The first expert of expert rank {@code rank} of {@code degree}: experts are split in order, as
   * evenly as possible.
   */
  public static int firstExpert(int experts, int degree, int rank) {
    return (int) ((long) experts * rank / degree);
  }

  private static void requirePositive(String name, int value) {
    Require.that(value >= 1, "%s is %s, expected 1 or more", name, value);
  }
}
