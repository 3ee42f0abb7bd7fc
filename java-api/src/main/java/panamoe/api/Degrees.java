package panamoe.api;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.parallel.Topology;

/**
 * How ranks share a layer or a model: {@code ranks = data * tensor}. Ranks of one tensor group get
 * the same tokens, different groups different tokens (DeepSpeed-MoE §4.1.3, §5.2;
 * docs/parallelism.md).
 *
 * @param expert most ranks that a layer's experts are spread over: a divisor of the data degree, or
 *     a multiple of it that divides {@code ranks / slices}
 * @param tensor ranks that attention heads and MLPs are sliced over
 * @param slices of the tensor ranks that an expert is sliced over; divides {@code tensor}
 */
public record Degrees(int expert, int tensor, int slices) {
  static {
    RequiredJava.check();
  }

  /**
   * Checks the values.
   *
   * @throws PanamoeException.BadArgument if one is less than 1, or the slices do not divide the
   *     tensor ranks
   */
  public Degrees {
    Failures.run(
        () -> {
          Argument.require(expert >= 1, "expert", expert, "1 or more");
          Argument.require(tensor >= 1, "tensor", tensor, "1 or more");
          Argument.require(
              slices >= 1 && tensor % slices == 0,
              "slices",
              slices,
              "a divisor of tensor=" + tensor);
        });
  }

  /** Data parallel ranks, with experts spread over {@code expert} of them. */
  public static Degrees of(int expert) {
    return new Degrees(expert, 1, 1);
  }

  /** These degrees with heads and MLPs sliced over {@code ranks}, and whole experts. */
  public Degrees withTensor(int ranks) {
    return new Degrees(expert, ranks, slices);
  }

  /** These degrees with each expert sliced over the first {@code ranks} of the tensor ranks. */
  public Degrees withSlices(int ranks) {
    return new Degrees(expert, tensor, ranks);
  }

  /**
   * @throws IllegalArgumentException if the number of ranks does not divide
   */
  Topology topology(int ranks) {
    return new Topology(ranks, expert, tensor, slices);
  }
}
