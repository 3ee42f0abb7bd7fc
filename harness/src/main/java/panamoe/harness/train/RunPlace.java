package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.engine.ModelFolder;
import panamoe.io.PlainFolder;

/** Where a new run may begin. */
final class RunPlace {
  /** What a run that was killed before it had a config.json may leave. */
  private static final Set<String> BEGINNINGS =
      Set.of(
          RunFolder.LOCK,
          ModelFolder.CHECKPOINTS,
          ModelFolder.TOKENIZER,
          RunFolder.TEXT,
          PlainFolder.temporary(ModelFolder.TOKENIZER),
          PlainFolder.temporary(RunFolder.TEXT),
          PlainFolder.temporary(RunFolder.CONFIG));

  private RunPlace() {}

  /**
   * Refuses a place where a new run must not begin; makes nothing.
   *
   * @throws IllegalArgumentException if there is a file, or a folder that holds more than what a
   *     run leaves that was killed as it began, or that cannot be written to
   */
  static void requireFree(Path path) throws IOException {
    if (Files.exists(path.resolve(RunFolder.CONFIG))) {
      throw new IllegalArgumentException(
          path + " already holds a run; train --resume goes on with it, or choose another --out");
    }
    if (Files.isDirectory(path)) {
      if (!isEmpty(path) && !holdsOnlyBeginnings(path)) {
        throw new IllegalArgumentException(
            path + " is not empty and holds no run; choose another --out");
      }
    } else if (Files.exists(path)) {
      throw new IllegalArgumentException(path + " is a file; --out is a folder");
    }
    Path above = path.toAbsolutePath().normalize();
    while (!Files.exists(above)) {
      above = above.getParent();
    }
    if (!Files.isDirectory(above)) {
      throw new IllegalArgumentException(
          "cannot make the folder " + path + ": " + above + " is a file");
    }
    if (!Files.isWritable(above)) {
      throw new IllegalArgumentException(
          "the folder " + above + " is not writable; choose another --out");
    }
  }

  /** Whether nothing is in the folder but a lock. */
  static boolean isEmpty(Path folder) throws IOException {
    return Set.of(RunFolder.LOCK).containsAll(names(folder));
  }

  /**
   * Without a lock, and the folder for checkpoints that is made first, whatever lies there is not a
   * run's.
   */
  private static boolean holdsOnlyBeginnings(Path folder) throws IOException {
    Set<String> names = names(folder);
    Path checkpoints = folder.resolve(ModelFolder.CHECKPOINTS);
    return names.contains(RunFolder.LOCK)
        && BEGINNINGS.containsAll(names)
        && Files.isDirectory(checkpoints)
        && names(checkpoints).isEmpty();
  }

  private static Set<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).collect(Collectors.toSet());
    }
  }
}
