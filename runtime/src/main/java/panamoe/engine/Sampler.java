package panamoe.engine;

import panamoe.backend.Backend;
import panamoe.backend.Recording;
import panamoe.backend.SampleKernels.Sampling;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Draws tokens from rows of logits, all at once. What a draw depends on beside the logits is the
 * sequence's {@link SamplerState}. Used by one thread.
 *
 * <p>For each step: {@link #take} its logits, {@link #ask} for the tokens of some rows, {@link
 * #draw}, and read each {@link #token}. A step whose logits are the same tensor as in the step
 * before, as in writing, allocates nothing.
 */
public final class Sampler implements AutoCloseable {
  /** A logit of a token that must not be drawn. */
  static final float NEVER = -Float.MAX_VALUE;

  private final Backend backend;
  private TensorScope scope;
  private Tensor logits;
  private Sampling sampling;
  // The kernel call, kept from the first draw from these logits on.
  private Recording call;

  public Sampler(Backend backend) {
    this.backend = backend;
  }

  /**
   * Takes the logits of a step, and forgets what was asked for.
   *
   * @param of FLOAT32 [S, V]; rows that are asked for are changed
   */
  public void take(Tensor of) {
    if (of != logits) {
      close();
      long rows = of.size(0);
      scope = TensorScope.shared(backend);
      logits = of;
      sampling =
          new Sampling(
              scope.allocate(DType.FLOAT32, rows),
              scope.allocate(DType.FLOAT32, rows),
              scope.allocate(DType.INT32, rows),
              scope.allocate(DType.FLOAT32, rows),
              scope.allocate(DType.FLOAT64, rows),
              scope.allocate(DType.INT32, rows));
    }
    for (long row = 0; row < of.size(0); row++) {
      sampling.uniform().setDouble(row, -1); // out of range: nothing is drawn
    }
  }

  /**
   * Asks for the next token of a sequence: changes the logits of a row as its settings say. The
   * caller tells the state of the token.
   */
  public void ask(int row, SamplerState state) {
    state.change(logits, row);
    SamplingConfig config = state.config();
    float temperature = (float) config.temperature();
    boolean greedy = temperature < Float.MIN_NORMAL;
    sampling.temperature().setFloat(row, greedy ? 0 : temperature);
    sampling.minP().setFloat(row, (float) config.minP());
    sampling.topK().setInt(row, config.topK());
    sampling.topP().setFloat(row, (float) config.topP());
    sampling.uniform().setDouble(row, config.temperature() == 0 ? 0 : state.draw());
  }

  /** Draws all tokens that were asked for. */
  public void draw() {
    if (call == null) {
      call = backend.record(() -> backend.sample(sampling, logits));
    } else {
      call.replay();
    }
    backend.synchronize();
  }

  /** The token that was drawn; -1 if a logit of the row is not finite. */
  public int token(int row) {
    return sampling.tokens().getInt(row);
  }

  /** Frees what a step's draws need; the logits are the caller's. */
  @Override
  public void close() {
    if (call != null) {
      call.close();
      call = null;
    }
    if (scope != null) {
      scope.close();
      scope = null;
    }
    logits = null;
  }
}
