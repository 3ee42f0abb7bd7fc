package panamoe.backend;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * The gate's decision as flat tables, the outputs of {@code moe_gate_forward}. S tokens, E experts,
 * K = top-k.
 *
 * @param scores FLOAT32 [S, E]
 * @param expert INT32 [S, K], -1 dropped
 * @param position INT32 [S, K], index among the expert's kept routes, -1 dropped
 * @param weight FLOAT32 [S, K], 0 dropped
 * @param choice INT32 [S, K], the expert before dropping, -1 padding
 * @param counts INT32 [E], routes per expert before dropping
 * @param offsets INT32 [E + 1], first row of each expert; the last is the number of routes kept
 * @param losses FLOAT32 [2], auxiliary loss and z loss
 */
public record Routes(
    Tensor scores,
    Tensor expert,
    Tensor position,
    Tensor weight,
    Tensor choice,
    Tensor counts,
    Tensor offsets,
    Tensor losses) {

  /** Allocates the tables for {@code tokens} tokens. */
  public static Routes allocate(TensorScope scope, long tokens, int experts, int topK) {
    return allocate(
        scope,
        experts,
        scope.allocate(DType.FLOAT32, tokens, topK),
        scope.allocate(DType.INT32, tokens, topK));
  }

  /** Allocates all tables but the weights and choices, which are the caller's. */
  public static Routes allocate(TensorScope scope, int experts, Tensor weight, Tensor choice) {
    return new Routes(
        scope.allocate(DType.FLOAT32, weight.size(0), experts),
        scope.allocate(DType.INT32, weight.shape()),
        scope.allocate(DType.INT32, weight.shape()),
        weight,
        choice,
        scope.allocate(DType.INT32, experts),
        scope.allocate(DType.INT32, experts + 1),
        scope.allocate(DType.FLOAT32, 2));
  }

  /** Routes of one choice without weights, for dispatch alone. */
  public static Routes of(Tensor expert, Tensor position, Tensor offsets) {
    return new Routes(null, expert, position, null, null, null, offsets, null);
  }

  /** These routes to rows that begin elsewhere: INT32 [E + 1]. */
  public Routes at(Tensor starts) {
    return new Routes(scores, expert, position, weight, choice, counts, starts, losses);
  }

  /** These routes with weights of 1, for a combine that ignores weights. */
  public Routes unweighted(TensorScope scope, Backend backend) {
    Tensor ones = scope.allocate(DType.FLOAT32, weight.shape());
    backend.fill(1, ones);
    return weighted(ones);
  }

  /** These routes with other weights [S, K]. */
  public Routes weighted(Tensor other) {
    return new Routes(scores, expert, position, other, choice, counts, offsets, losses);
  }

  /** Bytes of these tables. */
  public static double bytes(double tokens, int experts, int topK) {
    return 4 * (tokens * (experts + 4.0 * topK) + 2.0 * experts + 3);
  }

  public long tokens() {
    return expert.size(0);
  }

  public int topK() {
    return Math.toIntExact(expert.size(1));
  }

  public int experts() {
    return Math.toIntExact(counts.size(0));
  }
}
