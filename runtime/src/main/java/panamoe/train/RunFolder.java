package panamoe.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import panamoe.data.Tokenizer;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.io.SafeFolder;
import panamoe.open.ModelFolder;
import panamoe.open.TokenizerFiles;

/**
 * The folder of one run, locked against a second process:
 *
 * <pre>
 * config.json     model, training, seed
 * tokenizer.json  unless the run works on bytes; a released model's with the files next to it
 * text.json       path and SHA-256 of the text, so that a run is not resumed on another
 * reference.json  of a run on pairs of answers: the reference's log-probability of each
 * teacher.json    path and SHA-256 of the checkpoint that a student learns from
 * history.json    which processes trained the run, by which commands
 * metrics.jsonl   one line per step, forced to the disk before each checkpoint
 * checkpoints/    step-00000200/ ..., latest; created before the first step, so that a removed one is noticed
 * .lock           empty; never deleted: a lock on a deleted file does not exclude a process that creates it again
 * </pre>
 *
 * <p>{@link SafeFolder} writes all files: never through a link, and each file durably or not at
 * all.
 */
public final class RunFolder implements AutoCloseable {
  public static final String CONFIG = "config.json";
  public static final String TEXT = "text.json";
  public static final String TEACHER = "teacher.json";
  public static final String METRICS = "metrics.jsonl";
  public static final String LOCK = ".lock";
  public static final String ROUTING = "routing.json";
  public static final String READING = "reading.json";
  public static final String SAMPLES = "samples.json";
  public static final String REPORT = "report.html";

  /** What the reference of {@link DirectPreference} gave for each pair of answers. */
  static final String REFERENCE = "reference.json";

  /** The folder of the report's images. */
  public static final String PLOTS = "plots";

  /** The files of a run. */
  private static final List<String> FILES = new ArrayList<>(TokenizerFiles.NAMES);

  static {
    Collections.addAll(FILES, CONFIG, TEXT, TEACHER, History.NAME, LOCK, METRICS);
    Collections.addAll(FILES, ROUTING, READING, SAMPLES, REPORT, REFERENCE);
  }

  private static final List<String> FOLDERS = List.of(ModelFolder.CHECKPOINTS, PLOTS);

  private final Path path;
  private final SafeFolder files;
  private final FileChannel lockFile;
  private final List<Path> made;

  /**
   * @param lockFile null if rank 0, another process, holds the lock
   * @param made folders that this process created, the deepest first
   */
  private RunFolder(Path path, FileChannel lockFile, List<Path> made) {
    this.path = path;
    this.files = new SafeFolder(path);
    this.lockFile = lockFile;
    this.made = made;
  }

  private static RunFolder locked(Path path, List<Path> made) throws IOException {
    SafeFolder files = requirePlain(path);
    for (Path needed : List.of(path, path.resolve(LOCK), path.resolve(ModelFolder.CHECKPOINTS))) {
      if (Files.exists(needed) && !Files.isWritable(needed)) {
        String kind = Files.isDirectory(needed) ? "the folder " : "";
        throw new IllegalArgumentException(kind + needed + " is not writable");
      }
    }
    FileChannel lockFile = files.openLock(LOCK);
    if (!locks(lockFile)) {
      lockFile.close();
      throw new IllegalArgumentException("another process is training in " + path);
    }
    return new RunFolder(path, lockFile, made);
  }

  /** Refuses a link, pipe or device in place of a run's file, before any file is opened. */
  private static SafeFolder requirePlain(Path path) throws IOException {
    SafeFolder files = new SafeFolder(path);
    for (String name : FILES) {
      files.file(name);
    }
    for (String name : FOLDERS) {
      if (Files.isSymbolicLink(path.resolve(name))) {
        throw Require.refusal(
            "%s is a symbolic link, not a directory: to keep a run on another disk, make %s itself"
                + " the link, or replace the link by the directory",
            path.resolve(name), path);
      }
      files.folder(name);
    }
    for (String plot : files.names(PLOTS)) {
      if (plot.endsWith(".svg")) {
        files.file(PLOTS + "/" + plot);
      }
    }
    return files;
  }

  /** Creates the folder of a new run, at a path that was checked. */
  public static RunFolder create(Path path) throws IOException {
    List<Path> made = SafeFolder.missing(path);
    new SafeFolder(path).make();
    return locked(path, made);
  }

  /** Opens the folder of a run to resume. */
  public static RunFolder open(Path path) throws IOException {
    Require.that(
        requirePlain(path).has(CONFIG),
        "there is no run to resume in %s: it has no %s",
        path,
        CONFIG);
    // Checked before a file is written: it may be a released or a quantized model, or damaged.
    config(path);
    return locked(path, List.of());
  }

  /**
   * Opens the folder of a run whose rank 0 is another process; this process reads and saves its
   * shards.
   */
  public static RunFolder follow(Path path) {
    return new RunFolder(path, null, List.of());
  }

  public Path path() {
    return path;
  }

  public SafeFolder files() {
    return files;
  }

  public Path checkpoints() {
    return path.resolve(ModelFolder.CHECKPOINTS);
  }

  public RunConfig config() {
    return RunConfig.read(path.resolve(CONFIG));
  }

  /** Reads a run's config without locking its folder. */
  public static RunConfig config(Path run) throws IOException {
    return RunConfig.read(new SafeFolder(run).file(CONFIG));
  }

  public Tokenizer tokenizer() {
    return TokenizerFiles.of(path).tokenizer().orElseThrow();
  }

  /**
   * Whether the run trains a released model further: it has the files that come with the weights.
   */
  public boolean isFurther() throws IOException {
    return TokenizerFiles.of(path).released() && !files.has(TEACHER);
  }

  /**
   * Writes the initial files of a run, replacing those of a run that was killed while it began. The
   * config is the last: it makes the folder a run.
   *
   * @param tokenizer contents of the tokenizer's files by name; empty for bytes
   * @param text null if it is unknown; such a run is not resumed
   * @param teacher null: none
   */
  public void begin(
      RunConfig config, Map<String, byte[]> tokenizer, TextRecord text, TeacherRecord teacher)
      throws IOException {
    files.makeFolder(ModelFolder.CHECKPOINTS);
    for (String name : TokenizerFiles.NAMES) {
      replaceOrDelete(name, tokenizer.get(name));
    }
    replaceOrDelete(TEXT, text == null ? null : bytes(ConfigJson.text(text)));
    replaceOrDelete(TEACHER, teacher == null ? null : bytes(ConfigJson.text(teacher)));
    replace(CONFIG, config.toJson());
  }

  /** Replaces a file, unless another process holds the lock. */
  public void update(String name, Record content) {
    if (lockFile != null) {
      replace(name, ConfigJson.text(content));
    }
  }

  private void replaceOrDelete(String name, byte[] content) throws IOException {
    if (content == null) {
      files.delete(name);
    } else {
      files.replace(name, content);
    }
  }

  /**
   * Removes the files of a failed new run, unless a step was saved, so that another can begin here.
   *
   * @param failure of the run; errors while removing are added to it
   * @return whether anything was removed
   */
  public boolean discard(Exception failure) {
    try {
      if (lockFile == null
          || Files.notExists(checkpoints()) // created first
          || !files.names(ModelFolder.CHECKPOINTS).isEmpty()) {
        return false;
      }
      Files.delete(checkpoints()); // first: it fails while another rank saves
      deleteFiles();
      return true;
    } catch (IOException e) {
      failure.addSuppressed(e);
      return false;
    }
  }

  private void deleteFiles() throws IOException {
    for (String name : FILES) {
      if (!name.equals(LOCK)) {
        files.delete(name);
      }
    }
  }

  /**
   * Removes an incomplete new run with its checkpoints.
   *
   * @param other a file that does not belong to a run
   * @param failure errors while removing are added to it
   */
  public void remove(String other, Throwable failure) {
    try {
      deleteFiles();
      files.delete(other);
      if (Files.exists(checkpoints())) {
        try (Stream<Path> saved = Files.walk(checkpoints())) {
          for (Path each : saved.sorted(Comparator.reverseOrder()).toList()) {
            Files.delete(each);
          }
        }
      }
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  /** Writes the settings of a resumed run. */
  public void reconfigure(RunConfig config) {
    if (!config.equals(config())) {
      replace(CONFIG, config.toJson());
    }
  }

  /** The processes that trained the run. */
  public History history() {
    return new History(files);
  }

  /** Writes a file durably and atomically. */
  public void replace(String name, String text) {
    try {
      files.replace(name, bytes(text));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public void close() throws IOException {
    if (lockFile == null) {
      return;
    }
    try (lockFile) {
      if (!made.isEmpty() && List.of(LOCK).containsAll(files.names(""))) {
        Files.delete(path.resolve(LOCK));
        SafeFolder.removeEmpty(made);
      }
    }
  }

  private static boolean locks(FileChannel file) throws IOException {
    try {
      FileLock lock = file.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }
}
