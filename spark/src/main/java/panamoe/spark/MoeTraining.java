package panamoe.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.Supplier;

/** A training that runs on a cluster, as the driver sees it. Thread-safe. */
public final class MoeTraining {
  /** In the run's folder, the wish to stop. */
  static final String STOP = "stop";

  private final ClusterFolder folder;
  private final Supplier<String> progress;
  private final FutureTask<TrainingOutcome> outcome;

  MoeTraining(
      ClusterFolder folder, Supplier<String> progress, FutureTask<TrainingOutcome> outcome) {
    this.folder = folder;
    this.progress = progress;
    this.outcome = outcome;
  }

  /**
   * Asks the ranks to save a checkpoint after their current step, and to end. Returns at once. A
   * file {@code stop} in the run's folder asks for the same.
   *
   * @throws UncheckedIOException if the file system cannot be reached
   */
  public void stop() {
    try {
      folder.write(STOP, "");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The last step that the driver knows, in words, as old as a heartbeat; empty before the first.
   */
  public String progress() {
    return progress.get();
  }

  /** Whether it has ended, with or without success. */
  public boolean isDone() {
    return outcome.isDone();
  }

  /**
   * Waits for the end.
   *
   * @throws IllegalStateException in one sentence, if it failed
   * @throws InterruptedException if the thread is interrupted; the training goes on
   */
  public TrainingOutcome await() throws InterruptedException {
    try {
      return outcome.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Error error) {
        throw error;
      }
      // Spark adds the task's stack to its sentence.
      String sentence = String.valueOf(e.getCause().getMessage()).lines().findFirst().orElse("");
      throw new IllegalStateException(sentence, e.getCause());
    }
  }
}
