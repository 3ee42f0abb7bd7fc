package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The turn to save into a directory, which one thread of this process has at a time: a save deletes
 * what others left unfinished.
 */
final class SaveLock implements AutoCloseable {
  private static final Set<Path> TAKEN = ConcurrentHashMap.newKeySet();

  private Path taken; // null until then

  /**
   * Takes it until {@link #close}.
   *
   * @throws IllegalStateException if another save has it
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
