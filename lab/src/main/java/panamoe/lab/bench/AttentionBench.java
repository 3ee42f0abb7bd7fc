package panamoe.lab.bench;

import panamoe.backend.AttentionInputs;
import panamoe.backend.AttentionSettings;
import panamoe.backend.Backend;
import panamoe.io.Require;
import panamoe.nn.Cost;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * Forward of causal attention over one sequence, with heads of {@link #HEAD} and equally many
 * key/value heads.
 */
final class AttentionBench extends RandomBench {
  static final int HEAD = 128;

  private final int hidden;

  AttentionBench(Backend backend, LayerShape shape, DType dtype, long seed) {
    super(backend, shape, dtype, seed);
    this.hidden = shape.hidden();
    Require.that(
        hidden % Math.min(HEAD, hidden) == 0,
        "attention: hidden is %s, expected a multiple of its heads' size, %s",
        hidden,
        HEAD);
  }

  @Override
  public Workload over(int tokens) {
    return new Forward(tokens);
  }

  private final class Forward extends CapturedCalls {
    private final int tokens;

    Forward(int tokens) {
      super(backend);
      this.tokens = tokens;
      int head = Math.min(HEAD, hidden);
      AttentionSettings settings = AttentionSettings.causal((float) (1 / Math.sqrt(head)));
      AttentionInputs inputs =
          new AttentionInputs(normal(head, 0), normal(head, 1), normal(head, 2));
      Tensor out = scope.allocate(dtype, inputs.q().shape());
      capture(() -> backend.attentionForward(settings, inputs, out, null));
    }

    /** One of q, k and v [1, T, M / {@code head}, {@code head}]. */
    private Tensor normal(int head, int which) {
      long from = (long) which * tokens * hidden;
      return TokenBatches.drawn(backend, scope, dtype, seed, from, 1, tokens, hidden / head, head);
    }

    /** Each token attends to itself and to those before it. */
    @Override
    public Cost cost() {
      double pairs = 0.5 * tokens * (tokens + 1.0);
      double bytes = (double) tokens * hidden * dtype.bytes();
      return new Cost(4 * pairs * hidden, 3 * bytes, bytes, 0, 0);
    }
  }
}
