package panamoe.config;

import java.util.List;
import panamoe.io.Require;

/**
 * Low-rank adapters of some of a model's matrices (LoRA, arXiv 2106.09685): {@code y = x W^T + s (x
 * A^T) B^T}, A [r, K], B [N, r].
 *
 * @param rank r
 * @param alpha numerator of the scale
 * @param rankStabilised whether s is {@code alpha / sqrt(r)} (arXiv 2312.03732), not {@code alpha /
 *     r}
 * @param dropout the share of x's elements that the adapters do not see in training
 * @param targets the adapted matrices: attention, dense, shared, experts, all of these four,
 *     router, head, or names with {@code *} for any characters
 */
public record AdapterConfig(
    int rank, double alpha, boolean rankStabilised, double dropout, List<String> targets) {
  public AdapterConfig {
    Require.size("rank", rank, Require.MAX_WIDTH);
    Require.positiveFloat("alpha", alpha);
    Require.that(
        dropout >= 0 && dropout < 1, "dropout is %s, expected 0 or more and less than 1", dropout);
    Require.present("targets", targets);
    targets = List.copyOf(targets);
    Require.that(!targets.isEmpty(), "targets is empty, expected matrices to adapt");
  }

  /** With alpha = 2 r and no dropout. */
  public static AdapterConfig of(int rank, List<String> targets) {
    return new AdapterConfig(rank, 2.0 * rank, false, 0, targets);
  }

  /** s. */
  public float scale() {
    return (float) (alpha / (rankStabilised ? Math.sqrt(rank) : rank));
  }
}
