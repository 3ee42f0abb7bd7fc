package panamoe.harness.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import panamoe.data.Tokenizer;
import panamoe.harness.report.Report;
import panamoe.harness.report.RunDirectory;
import panamoe.io.ConfigJson;
import panamoe.io.PlainFolder;
import panamoe.io.Require;
import panamoe.open.ModelFolder;
import panamoe.open.TokenizerFiles;
import panamoe.train.RunConfig;

/**
 * The folder of one run, held by a lock against a second process:
 *
 * <pre>
 * config.json     model, training, seed
 * tokenizer.json  unless the run works on bytes; of a released model with what lay beside it
 * text.json       where the text is, and its SHA-256, so that a run is not resumed on another
 * teacher.json    the same of the checkpoint that a student learns from
 * history.json    which processes trained the run, by which commands
 * metrics.jsonl   one line per step, forced to the disk before each checkpoint
 * checkpoints/    step-00000200/ ..., latest; created before the first step, so that a removed one is noticed
 * .lock           empty; never deleted, because a lock on a deleted file does not exclude a process that creates it again
 * </pre>
 *
 * <p>Everything is written by {@link PlainFolder}: never through a link, and each file durably or
 * not at all.
 */
public final class RunFolder implements AutoCloseable {
  static final String CONFIG = "config.json";
  static final String TEXT = "text.json";
  static final String TEACHER = "teacher.json";
  static final String LOCK = ".lock";
  static final String ROUTING = "routing.json";
  static final String READING = "reading.json";
  static final String SAMPLES = "samples.json";

  /** The files of a run. */
  private static final List<String> FILES =
      Stream.concat(
              Stream.of(
                  CONFIG,
                  TEXT,
                  TEACHER,
                  History.NAME,
                  LOCK,
                  MetricsFile.NAME,
                  ROUTING,
                  READING,
                  SAMPLES,
                  Report.FILE),
              TokenizerFiles.NAMES.stream())
          .toList();

  private static final List<String> FOLDERS = List.of(ModelFolder.CHECKPOINTS, Report.PLOTS);

  private final Path path;
  private final PlainFolder files;
  private final FileChannel lockFile;
  private final boolean made;

  /**
   * @param lockFile null if another process holds the lock for this one
   * @param made whether the folder was created
   */
  private RunFolder(Path path, FileChannel lockFile, boolean made) {
    this.path = path;
    this.files = new PlainFolder(path);
    this.lockFile = lockFile;
    this.made = made;
  }

  private static RunFolder locked(Path path, boolean made) throws IOException {
    PlainFolder files = requirePlain(path);
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
  private static PlainFolder requirePlain(Path path) throws IOException {
    PlainFolder files = new PlainFolder(path);
    for (String name : FILES) {
      files.file(name);
    }
    for (String name : FOLDERS) {
      if (Files.isSymbolicLink(path.resolve(name))) {
        throw new IllegalArgumentException(
            path.resolve(name)
                + " is a symbolic link, not a directory: to keep a run on another disk, make "
                + path
                + " itself the link, or move the directory to the place of its link");
      }
      files.folder(name);
    }
    for (String plot : files.names(Report.PLOTS)) {
      if (plot.endsWith(".svg")) {
        files.file(Report.PLOTS + "/" + plot);
      }
    }
    return files;
  }

  /**
   * Creates the folder of a new run.
   *
   * @throws IllegalArgumentException as {@link RunPlace#requireFree} throws it
   */
  public static RunFolder create(Path path) throws IOException {
    RunPlace.requireFree(path);
    boolean made = Files.notExists(path);
    new PlainFolder(path).make();
    return locked(path, made);
  }

  /** Opens the folder of a run to resume. */
  static RunFolder open(Path path) throws IOException {
    PlainFolder files = requirePlain(path);
    Require.that(files.has(CONFIG), "there is no run to resume in %s: it has no %s", path, CONFIG);
    // Before a file is written: it may be a released or a quantized model, or damaged.
    config(path);
    RunDirectory.requireReadable(files);
    return locked(path, false);
  }

  /**
   * Opens the folder of a run whose rank 0 is another process; this one reads and saves its shards
   * there.
   */
  static RunFolder follow(Path path) {
    return new RunFolder(path, null, false);
  }

  Path path() {
    return path;
  }

  public Path checkpoints() {
    return path.resolve(ModelFolder.CHECKPOINTS);
  }

  RunConfig config() {
    return RunConfig.read(path.resolve(CONFIG));
  }

  /** Reads a run's config without locking its folder. */
  static RunConfig config(Path run) throws IOException {
    return RunConfig.read(new PlainFolder(run).file(CONFIG));
  }

  Tokenizer tokenizer() {
    return TokenizerFiles.of(path).tokenizer().orElseThrow();
  }

  /** Whether the run trains a released model further, by the files that come with the weights. */
  boolean isFurther() throws IOException {
    return TokenizerFiles.of(path).released() && !files.has(TEACHER);
  }

  /** How far the run has come. */
  RunProgress progress() {
    return new RunProgress(this);
  }

  /** What the run was started on. */
  RunSources sources() {
    return new RunSources(this);
  }

  /**
   * Writes the initial files of a new run, replacing those of a run that was killed while it began.
   */
  void begin(RunConfig config, RunTokenizer tokenizer, Material material) throws IOException {
    begin(
        config,
        tokenizer,
        TextRecord.of(material.text()),
        material.teacher() == null ? null : TeacherRecord.of(material.teacher()));
  }

  /**
   * Writes the files of a run that was not trained here.
   *
   * @param text null if it is unknown; such a run is not resumed
   */
  public void begin(RunConfig config, RunTokenizer tokenizer, TextRecord text) throws IOException {
    begin(config, tokenizer, text, null);
  }

  private void begin(
      RunConfig config, RunTokenizer tokenizer, TextRecord text, TeacherRecord teacher)
      throws IOException {
    files.makeFolder(ModelFolder.CHECKPOINTS);
    for (String name : TokenizerFiles.NAMES) {
      byte[] content = tokenizer.files().get(name);
      if (content == null) {
        files.delete(name);
      } else {
        files.replace(name, content);
      }
    }
    replaceOrDelete(TEXT, text);
    replaceOrDelete(TEACHER, teacher);
    replace(CONFIG, config.toJson());
  }

  /** Replaces a record, unless another process holds the folder for this one. */
  void update(String name, Record content) {
    if (lockFile != null) {
      replace(name, ConfigJson.text(content));
    }
  }

  private void replaceOrDelete(String name, Record content) throws IOException {
    if (content == null) {
      files.delete(name);
    } else {
      replace(name, ConfigJson.text(content));
    }
  }

  /**
   * Removes what a new run has written, unless it was saved, so that another can begin here.
   *
   * @param failure of the run, to which trouble with the files is added
   * @return whether anything was removed
   */
  boolean discard(Exception failure) {
    try {
      if (lockFile == null
          || !files.has(CONFIG)
          || !files.names(ModelFolder.CHECKPOINTS).isEmpty()) {
        return false;
      }
      Files.deleteIfExists(checkpoints()); // first: it fails if another rank saves meanwhile
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
   * Removes a new run that was not written whole, with its checkpoints.
   *
   * @param other a file that is not one of a run's own
   * @param failure to which trouble with the files is added
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
  void reconfigure(RunConfig config) {
    if (!config.equals(config())) {
      replace(CONFIG, config.toJson());
    }
  }

  MetricsFile metrics() {
    return new MetricsFile(files);
  }

  /** Which processes trained the run. */
  History history() {
    return new History(files);
  }

  /** Removes the metrics after {@code step}; those steps will be trained again. */
  void rewindMetrics(long step) throws IOException {
    if (files.has(MetricsFile.NAME)) {
      files.replace(MetricsFile.NAME, metrics().upTo(step));
    }
  }

  /** Writes a file durably and atomically. */
  public void replace(String name, String text) {
    try {
      files.replace(name, text.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    if (lockFile == null) {
      return;
    }
    try (lockFile) {
      if (made && RunPlace.isEmpty(path)) {
        Files.delete(path.resolve(LOCK));
        Files.delete(path);
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
