package panamoe.train;

import java.io.IOException;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import panamoe.checkpoint.SaveReport;
import panamoe.parallel.Ranks;

/**
 * Trains to the last step; validates and saves when the settings say so. Collective; used by the
 * trainer's thread.
 *
 * @param stop whether this rank was asked to save and end after the current step
 */
public record TrainingLoop(Trainer trainer, RunCheckpoints checkpoints, BooleanSupplier stop) {
  /** Told about the run of its rank, by the trainer's thread. */
  public interface Listener {
    /** Ignores everything. */
    Listener NONE = new Listener() {};

    /**
     * A step is done.
     *
     * @param metrics with the validation that followed it
     */
    default void finished(StepMetrics metrics) throws IOException {}

    /** The state after the last step will be saved. */
    default void saving() throws IOException {}

    /** It was saved. */
    default void saved(SaveReport report) throws IOException {}
  }

  /**
   * Trains to the end.
   *
   * @return the last validation's score; empty if a rank was asked to stop
   * @throws TrainingFailure like {@link Trainer#next}
   * @throws panamoe.checkpoint.CheckpointException like {@link RunCheckpoints#save}
   * @throws IOException of the listener
   */
  public Optional<Validation.Score> run(Listener listener) throws IOException {
    Ranks ranks = trainer.model().parameters().ranks();
    TrainConfig training = trainer.config().training();
    Optional<Validation.Score> score = Optional.empty();
    boolean stopped = false;
    while (!trainer.finished() && !stopped) {
      StepMetrics metrics = trainer.next();
      if (trainer.finished() || due(training.checkpoints().evaluateEvery())) {
        score = Optional.of(trainer.validate());
        metrics = metrics.withValidation(score.get());
      }
      listener.finished(metrics);
      stopped = ranks.any(stop.getAsBoolean());
      if (trainer.finished()
          || stopped
          || trainer.isBest()
          || due(training.checkpoints().every())) {
        listener.saving();
        listener.saved(checkpoints.save());
      }
    }
    if (stopped) {
      return Optional.empty();
    }
    return Optional.of(score.orElseGet(trainer::evaluate));
  }

  private boolean due(int every) {
    return every > 0 && trainer.step() % every == 0;
  }
}
