package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import panamoe.io.FileErrors;
import panamoe.io.TemporaryName;

/**
 * What a save deletes in a folder of checkpoints: older ones, and the hidden remains of saves that
 * were killed. A deletion that fails is noted, not thrown: leftover files cost space, but the saved
 * step must not be lost for them.
 */
final class CheckpointCleanup {
  private final Path directory;
  private final Disk disk;
  private final List<IOException> undeleted = new ArrayList<>();

  CheckpointCleanup(Path directory, Disk disk) {
    this.directory = directory;
    this.disk = disk;
  }

  /** Sentences about what could not be deleted. */
  List<String> undeleted() {
    return undeleted.stream().map(Throwable::getMessage).toList();
  }

  /**
   * Deletes checkpoints.
   *
   * @param unwanted tells which; it may fail to list them
   */
  void removeOld(Supplier<List<Path>> unwanted) {
    List<Path> all;
    try {
      all = unwanted.get();
    } catch (CheckpointException e) { // the new checkpoint is saved nevertheless
      undeleted.add(new IOException("cannot delete older checkpoints: " + e.getMessage(), e));
      return;
    }
    for (Path old : all) {
      // Renames it to a hidden name first, so that a half-deleted directory never looks like a
      // checkpoint.
      Path hidden = TemporaryName.of(old);
      tidy(
          old,
          () -> {
            disk.rename(old, hidden);
            disk.delete(hidden);
          });
    }
  }

  /** Deletes what this process, or one that is gone, has left under hidden names. */
  void removeStale() throws IOException {
    for (Path path : Disk.list(directory)) {
      if (TemporaryName.isStale(path)) {
        tidy(path, () -> disk.delete(path));
      }
    }
  }

  /** As {@link #removeStale}, after a failed save, to whose failure trouble is added. */
  void removeStaleAfter(Throwable failure) {
    try {
      removeStale();
    } catch (IOException e) {
      undeleted.add(e);
    }
    undeleted.forEach(failure::addSuppressed);
  }

  private void tidy(Path path, CollectiveDisk.Step deletion) {
    try {
      deletion.run();
    } catch (IOException e) {
      undeleted.add(new IOException("cannot delete " + path + ": " + FileErrors.reason(e), e));
    }
  }
}
