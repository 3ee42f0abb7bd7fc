package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import panamoe.io.FileErrors;
import panamoe.io.TemporaryName;

/**
 * Deletes older checkpoints of a folder, and the hidden remains of killed saves. A failed deletion
 * is noted, not thrown: the save has succeeded.
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
   * @param unwanted lists them; it may fail
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

  /** Deletes a directory that is needed no longer. */
  void remove(Path path) {
    tidy(path, () -> disk.delete(path));
  }

  /** Deletes the hidden files of this process, and of processes that are gone. */
  void removeStale() throws IOException {
    for (Path path : Disk.list(directory)) {
      if (TemporaryName.isStale(path)) {
        remove(path);
      }
    }
  }

  /** Like {@link #removeStale}, after a failed save, and adds problems to the save's exception. */
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
