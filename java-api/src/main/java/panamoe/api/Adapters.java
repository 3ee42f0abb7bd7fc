package panamoe.api;

import java.util.List;
import panamoe.api.internal.Failures;
import panamoe.config.AdapterConfig;

/**
 * Low-rank adapters of some of a model's matrices (LoRA, arXiv 2106.09685), for {@link
 * TrainableModel#adapt}: a matrix W [N, K] computes {@code x W^T + (alpha / r) (x A^T) B^T}, A [r,
 * K], B [N, r]; each expert has its own A and B.
 *
 * @param rank r, at most the sides of every matrix
 * @param alpha more than 0; usually 2 r
 * @param dropout the share of x's elements that adapters do not see in training, 0 to 1 (exclusive)
 * @param targets attention, dense, shared, experts, router or head, or matrices' names with {@code
 *     *} for any characters
 */
public record Adapters(int rank, double alpha, double dropout, List<String> targets) {
  static {
    RequiredJava.check();
  }

  /**
   * Checks and copies the values.
   *
   * @throws PanamoeException.BadArgument if one is null or out of range
   */
  public Adapters {
    targets = config(rank, alpha, dropout, targets).targets();
  }

  /** With alpha = 2 r and no dropout. */
  public static Adapters of(int rank, String... targets) {
    return new Adapters(rank, 2.0 * rank, 0, List.of(targets));
  }

  AdapterConfig toConfig() {
    return config(rank, alpha, dropout, targets);
  }

  private static AdapterConfig config(
      int rank, double alpha, double dropout, List<String> targets) {
    return Failures.translating(() -> new AdapterConfig(rank, alpha, false, dropout, targets));
  }
}
