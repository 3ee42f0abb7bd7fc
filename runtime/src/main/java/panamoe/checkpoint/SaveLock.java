package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A lock for saving into a directory, held by one thread of this process: a save deletes what
 * others left unfinished.
 */
final class SaveLock implements AutoCloseable {
  private static final Set<Path> TAKEN = ConcurrentHashMap.newKeySet();

  private Path taken; // null until locked

  /**
   * Locks until {@link #close}.
   *
   * @throws IllegalStateException if another save holds the lock
   */
  void take(Path directory) throws IOException {
    Path real = directory.toRealPath();
    if (!TAKEN.add(real)) {
      throw new IllegalStateException(
          "another save into " + directory + " is under way: save one model at a time there");
    }
    taken = real;
  }

  @Override
  public void close() {
    if (taken != null) {
      TAKEN.remove(taken);
    }
  }
}
