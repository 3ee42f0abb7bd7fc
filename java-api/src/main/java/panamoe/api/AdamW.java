package panamoe.api;

import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;
import panamoe.api.internal.Lifetime;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointException;
import panamoe.tensor.TensorScope;
import panamoe.train.TrainedTensors;

/**
 * AdamW (arXiv 1711.05101) on a {@link TrainableModel}'s parameters, computed on its device. It has
 * two FLOAT32 moments for each parameter, until it or the model is closed. On several ranks it sums
 * the gradients, and the ranks that hold a parameter shard its moments (ZeRO stage 1). One thread
 * at a time may call it, like everything on a device.
 */
public final class AdamW implements AutoCloseable {
  private final TrainableModel model;
  private final panamoe.train.AdamW inner;
  private final Lifetime life;
  private long steps;

  /**
   * @param source of the moments; null for zeros
   */
  private AdamW(TrainableModel model, AdamWSettings settings, Checkpoint source) {
    this.model = model;
    TensorScope scope = TensorScope.shared(model.backend());
    try {
      this.inner =
          new panamoe.train.AdamW(
              model.backend(), settings.toSettings(), model.weights().parameters(), scope);
      if (source != null) {
        tensors().readMoments(source);
        this.steps = source.step();
      }
    } catch (RuntimeException | Error e) {
      scope.close();
      throw e;
    }
    this.life = model.lifetime().begin("the optimizer", scope::close);
  }

  /**
   * A new optimizer, before its first step.
   *
   * @throws PanamoeException.BadArgument if an argument is null
   * @throws IllegalStateException if the model is closed, or another thread uses its device; the
   *     methods below throw it too
   */
  public static AdamW begin(TrainableModel model, AdamWSettings settings) {
    return lifeOf(model).use(() -> new AdamW(model, Argument.notNull("settings", settings), null));
  }

  /**
   * Continues an optimizer, bit for bit, from the checkpoint that the model was loaded from. Call
   * it right after {@link TrainableModel#load}: a later save may delete the checkpoint.
   *
   * @param settings for the same bits, the saved optimizer's
   * @throws PanamoeException.BadModel if the model is not from a checkpoint with AdamW's moments,
   *     or the checkpoint is damaged
   */
  public static AdamW resume(TrainableModel model, AdamWSettings settings) {
    return lifeOf(model)
        .use(
            () -> {
              Checkpoint source = model.source();
              if (source == null) {
                throw new CheckpointException(
                    "the model was not loaded from a checkpoint, so there is no state to resume");
              }
              TrainedTensors.requireMoments(source, model.weights());
              return new AdamW(model, Argument.notNull("settings", settings), source);
            });
  }

  private static Lifetime lifeOf(TrainableModel model) {
    return Failures.translating(() -> Argument.notNull("model", model)).lifetime();
  }

  /**
   * Updates the parameters by the gradients, which the caller then sets to zero. On several ranks
   * all call it.
   *
   * @param learningRate of this step
   * @return the global norm of the gradients before clipping
   * @throws PanamoeException.BadArgument if the rate is negative, or not finite as a FLOAT32
   * @throws PanamoeException.Diverged if the norm is not finite; the parameters stay as they are
   * @throws IllegalStateException also if a failed backward left partial gradients
   */
  public double step(double learningRate) {
    return life.use(
        () -> {
          Argument.require(
              learningRate >= 0 && Float.isFinite((float) learningRate),
              "learningRate",
              learningRate,
              "a FLOAT32, 0 or more");
          model.parameters().requireComplete();
          inner.sumGradients();
          double norm = inner.norm();
          if (!Double.isFinite(norm)) {
            throw new PanamoeException.Diverged(
                "the gradients have no finite norm in step " + (steps + 1), null);
          }
          inner.step(steps, learningRate, norm);
          steps++;
          model.backend().synchronize();
          return norm;
        });
  }

  /** The number of steps taken, with those before {@link #resume}. */
  public long steps() {
    return steps;
  }

  /** Frees the moments. Idempotent; throws like {@link TrainableModel#close}. */
  @Override
  public void close() {
    life.close();
  }

  TrainableModel model() {
    return model;
  }

  Lifetime lifetime() {
    return life;
  }

  /** The model's weights and these moments. */
  TrainedTensors tensors() {
    return new TrainedTensors(model.backend(), model.weights(), inner);
  }
}
