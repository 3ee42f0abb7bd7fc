package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import panamoe.comm.CommunicationException;
import panamoe.harness.OutputPlace;
import panamoe.harness.report.RunDirectory;
import panamoe.io.Require;
import panamoe.io.SafeFolder;
import panamoe.open.ModelFolder;
import panamoe.open.TokenizerFiles;
import panamoe.train.RunFolder;

/** Checks the path of a new run. */
public final class RunPath {
  /** The files that a run may leave if it is killed before its config.json exists. */
  private static final Set<String> BEGINNINGS = beginnings();

  private RunPath() {}

  private static Set<String> beginnings() {
    Set<String> files = new HashSet<>(TokenizerFiles.NAMES);
    files.addAll(List.of(RunFolder.TEXT, RunFolder.TEACHER));
    Set<String> names = new HashSet<>(files);
    files.forEach(name -> names.add(SafeFolder.temporary(name)));
    names.addAll(
        List.of(RunFolder.LOCK, ModelFolder.CHECKPOINTS, SafeFolder.temporary(RunFolder.CONFIG)));
    return names;
  }

  /**
   * Like {@link #requireFree}, for commands that can resume: the message for an existing run
   * suggests it.
   *
   * @throws IllegalArgumentException if the path is not free
   */
  static void requireNew(Path path) throws IOException {
    if (Files.exists(path.resolve(RunFolder.CONFIG))) {
      String command = Files.exists(path.resolve(RunFolder.TEACHER)) ? "distill" : "train";
      throw Require.refusal(
          "%s already holds a run; continue it by %s --resume, or choose another --out",
          path, command);
    }
    requireFree(path);
  }

  /**
   * Checks that a new run may begin at this path; leaves nothing there.
   *
   * @throws IllegalArgumentException if the path is a file, or a folder that is not writable or
   *     holds anything but the first files of a killed run
   */
  public static void requireFree(Path path) throws IOException {
    if (Files.exists(path.resolve(RunFolder.CONFIG))) {
      throw new IllegalArgumentException(path + " already holds a run; choose another --out");
    }
    if (Files.isDirectory(path)) {
      if (!Set.of(RunFolder.LOCK).containsAll(names(path)) && !holdsOnlyBeginnings(path)) {
        throw new IllegalArgumentException(
            path + " is not empty and holds no run; choose another --out");
      }
    } else if (Files.exists(path)) {
      throw new IllegalArgumentException(path + " is a file; --out is a folder");
    }
    OutputPlace.requireFolder(path, "--out");
    List<Path> made = SafeFolder.missing(path);
    try {
      new SafeFolder(path).make(); // some, such as those in /proc, only look writable
    } finally {
      SafeFolder.removeEmpty(made);
    }
  }

  /**
   * Creates the folder of a new run.
   *
   * @throws IllegalArgumentException if the path is not free
   */
  public static RunFolder create(Path path) throws IOException {
    requireFree(path);
    return RunFolder.create(path);
  }

  /**
   * Trains in the folder of a new run, and closes it. If that fails before a checkpoint is saved,
   * removes the run's files and prints that, but not if a rank was lost: the run may be resumed.
   */
  static <T> T inNew(RunFolder opened, PrintWriter err, Callable<T> training) throws Exception {
    try (RunFolder folder = opened) {
      try {
        return training.call();
      } catch (Exception e) {
        if (!(e instanceof CommunicationException) && folder.discard(e)) {
          err.println(
              "no checkpoint was saved: the files that the run wrote into "
                  + folder.path()
                  + " are removed");
        }
        throw e;
      }
    }
  }

  /**
   * Opens the folder of a run to resume.
   *
   * @throws IllegalArgumentException also if a file is damaged that only the report reads
   */
  static RunFolder open(Path path) throws IOException {
    RunDirectory.requireReadable(new SafeFolder(path)); // before a file is written
    return RunFolder.open(path);
  }

  /**
   * A killed run leaves a lock and the folder for checkpoints, which are created first; without
   * them the files belong to something else.
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
