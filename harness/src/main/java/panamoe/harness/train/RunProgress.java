package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointStore;
import panamoe.io.Require;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.TrainConfig;
import panamoe.train.Validation;

/** The progress of a run, from the checkpoints, metrics and report in its folder. */
record RunProgress(RunFolder folder, MetricsFile metrics) {
  RunProgress(RunFolder folder) {
    this(folder, new MetricsFile(folder.files()));
  }

  /** The step of the latest checkpoint. */
  long stepsDone() {
    return latest().map(Checkpoint::step).orElse(0L);
  }

  private Optional<Checkpoint> latest() {
    return store().openLatest();
  }

  /**
   * Refuses a run whose checkpoints were removed, because starting again would overwrite its
   * metrics. A run that was killed before its first checkpoint still has the empty folder, and no
   * metrics after that checkpoint's step.
   *
   * @throws IllegalArgumentException if saved checkpoints, or the released model's weights that the
   *     run began with, are gone
   */
  void requireCheckpoints(RunConfig config) throws IOException {
    CheckpointStore saved = store();
    if (!saved.checkpoints().isEmpty()) {
      return;
    }
    Require.that(
        config.adapters() != null || !folder.isFurther(),
        "the run in %s has lost the weights that it began with, or was killed before they were"
            + " written: remove the folder, and begin again with panamoe train --from",
        folder.path());
    long done = metrics.lastStep();
    int every = config.training().checkpoints().every();
    boolean everSaved =
        Files.notExists(folder.checkpoints())
            || saved.savedBefore()
            || Files.exists(folder.path().resolve(RunFolder.PLOTS))
            || every > 0 && done > every;
    if (everSaved && done > 0) {
      throw Require.refusal(
          "the checkpoints of the run in %s are missing: its %s ends at step %s, but"
              + " %s holds none; put them back, or start a new run in another --out",
          folder.path(), MetricsFile.NAME, done, folder.checkpoints());
    }
  }

  /**
   * The result of a finished run, whose last step is saved and whose report is written.
   *
   * @throws panamoe.checkpoint.CheckpointException if it was trained with another config, or is
   *     damaged
   */
  Optional<TrainingResult> outcome(RunConfig config) throws IOException {
    TrainConfig training = config.training();
    boolean reported = followsMetrics(RunFolder.REPORT) && followsMetrics(RunFolder.PLOTS);
    Optional<Checkpoint> last = reported ? latest() : Optional.empty();
    if (last.isEmpty() || !RunCheckpoints.isLast(config, last.get())) {
      return Optional.empty();
    }
    long step = last.get().step();
    RunCheckpoints.requireTrainedBy(config, last.get());
    Optional<Validation.Score> score = metrics.validation(step);
    if (score.isEmpty()) {
      return Optional.empty(); // it was stopped at a step that a later call made the last
    }
    last.get().verify();
    return Optional.of(
        new TrainingResult(
            folder.path(),
            step,
            step,
            training.batch().tokens(),
            new TrainingResult.Validated(score.get(), 0, last.get().bestStep()),
            0,
            folder.path().resolve(RunFolder.REPORT)));
  }

  private boolean followsMetrics(String name) throws IOException {
    Path file = folder.path().resolve(name);
    return Files.exists(metrics.path())
        && Files.exists(file)
        && Files.getLastModifiedTime(file).compareTo(Files.getLastModifiedTime(metrics.path()))
            >= 0;
  }

  private CheckpointStore store() {
    return new CheckpointStore(folder.checkpoints(), 1);
  }
}
