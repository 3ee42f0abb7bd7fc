package panamoe.harness.train;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import panamoe.checkpoint.Checkpoint;
import panamoe.checkpoint.CheckpointStore;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.Tokenizer;
import panamoe.generate.ModelFolder;
import panamoe.harness.report.Report;
import panamoe.io.StrictJson;
import panamoe.model.ConfigJson;
import panamoe.train.RunCheckpoints;
import panamoe.train.RunConfig;
import panamoe.train.StepMetrics;
import panamoe.train.TrainConfig;

/**
 * The folder of one run, held by a lock against a second process:
 *
 * <pre>
 * config.json     model, training, seed
 * tokenizer.json  unless the run works on bytes
 * text.json       where the text is, and its SHA-256, so that a run is not resumed on another
 * metrics.jsonl   one line a step
 * checkpoints/    step-00000200/ ..., latest; made before the first step, so that it is missed when it is gone
 * .lock           empty; stays, for a lock on a file that was deleted keeps nobody out of the next one of its name
 * </pre>
 */
final class RunFolder implements AutoCloseable {
  private static final String CONFIG = "config.json";
  private static final String TEXT = "text.json";
  private static final String METRICS = "metrics.jsonl";
  private static final String LOCK = ".lock";

  private final Path path;
  private final RandomAccessFile lockFile;
  private final boolean made;

  /**
   * @param lockFile null where another process holds the folder for this one
   * @param made whether the folder was not there before
   */
  private RunFolder(Path path, RandomAccessFile lockFile, boolean made) {
    this.path = path;
    this.lockFile = lockFile;
    this.made = made;
  }

  private static RunFolder locked(Path path, boolean made) throws IOException {
    for (Path needed : List.of(path, path.resolve(LOCK), path.resolve(ModelFolder.CHECKPOINTS))) {
      if (Files.exists(needed) && !Files.isWritable(needed)) {
        String kind = Files.isDirectory(needed) ? "the folder " : "";
        throw new IllegalArgumentException(kind + needed + " is not writable");
      }
    }
    RandomAccessFile lockFile = new RandomAccessFile(path.resolve(LOCK).toFile(), "rw");
    if (!locks(lockFile)) {
      lockFile.close();
      throw new IllegalArgumentException("another process is training in " + path);
    }
    return new RunFolder(path, lockFile, made);
  }

  /**
   * Refuses a place where a new run must not begin; makes nothing.
   *
   * @throws IllegalArgumentException if there is a file, or a folder that already holds something or cannot be written
   *     to
   */
  static void requireFree(Path path) throws IOException {
    if (Files.exists(path.resolve(CONFIG))) {
      throw new IllegalArgumentException(
          path + " already holds a run; train --resume goes on with it, or choose another --out");
    }
    if (Files.isDirectory(path)) {
      if (!empty(path)) {
        throw new IllegalArgumentException(path + " is not empty and holds no run; choose another --out");
      }
    } else if (Files.exists(path)) {
      throw new IllegalArgumentException(path + " is a file; --out is a folder");
    }
    Path above = path.toAbsolutePath().normalize();
    while (!Files.exists(above)) {
      above = above.getParent();
    }
    if (!Files.isDirectory(above)) {
      throw new IllegalArgumentException("cannot make the folder " + path + ": " + above + " is a file");
    }
    if (!Files.isWritable(above)) {
      throw new IllegalArgumentException("the folder " + above + " is not writable; choose another --out");
    }
  }

  /**
   * A folder for a new run.
   *
   * @throws IllegalArgumentException as {@link #requireFree}
   */
  static RunFolder create(Path path) throws IOException {
    requireFree(path);
    boolean made = Files.notExists(path);
    Files.createDirectories(path);
    return locked(path, made);
  }

  /** The folder of a run to go on with. */
  static RunFolder open(Path path) throws IOException {
    if (!Files.isRegularFile(path.resolve(CONFIG))) {
      throw new IllegalArgumentException("there is no run to resume in " + path + ": it has no " + CONFIG);
    }
    return locked(path, false);
  }

  /** The folder of a run that another process leads, with rank 0; this one reads there and saves its shards. */
  static RunFolder follow(Path path) {
    return new RunFolder(path, null, false);
  }

  Path path() {
    return path;
  }

  Path checkpoints() {
    return path.resolve(ModelFolder.CHECKPOINTS);
  }

  RunConfig config() {
    return RunConfig.read(path.resolve(CONFIG));
  }

  Tokenizer tokenizer() {
    Path file = path.resolve(ModelFolder.TOKENIZER);
    return Files.exists(file) ? JsonTokenizer.load(file) : new ByteTokenizer();
  }

  /** Steps that its latest checkpoint has. */
  long stepsDone() {
    return latest().map(Checkpoint::step).orElse(0L);
  }

  private Optional<Checkpoint> latest() {
    return new CheckpointStore(checkpoints(), 1).openLatest();
  }

  /**
   * Refuses a run whose checkpoints were removed: to start it again would overwrite what it has measured. One that was
   * killed before its first checkpoint still has the folder for it, and no step after the one that was to be saved.
   *
   * @throws IllegalArgumentException if it was saved, but nothing of that is left
   */
  void requireCheckpoints(RunConfig config) throws IOException {
    Path metrics = path.resolve(METRICS);
    CheckpointStore checkpoints = new CheckpointStore(checkpoints(), 1);
    if (Files.notExists(metrics) || !checkpoints.checkpoints().isEmpty()) {
      return;
    }
    int done = Files.readAllLines(metrics).size();
    int every = config.training().checkpointEvery();
    boolean saved =
        Files.notExists(checkpoints()) || checkpoints.savedBefore() || Files.exists(path.resolve(Report.FILE))
            || every > 0 && done > every;
    if (saved && done > 0) {
      throw new IllegalArgumentException(
          "the checkpoints of the run in " + path + " are missing: by its " + METRICS + " it has come to step " + done
              + ", but " + checkpoints() + " holds none; put them back, or start a new run in another --out");
    }
  }

  /**
   * How the run of this config ended, if its last step is saved and its report is written.
   *
   * @throws panamoe.checkpoint.CheckpointException if it was trained with another config
   */
  Optional<TrainingRun.Outcome> outcome(RunConfig config) throws IOException {
    TrainConfig training = config.training();
    Path metrics = path.resolve(METRICS);
    Path report = path.resolve(Report.FILE);
    boolean reported =
        Files.exists(metrics)
            && Files.exists(report)
            && Files.getLastModifiedTime(report).compareTo(Files.getLastModifiedTime(metrics)) >= 0;
    List<String> lines = reported ? Files.readAllLines(metrics) : List.of();
    Optional<Checkpoint> last = lines.isEmpty() ? Optional.empty() : latest();
    if (last.isEmpty() || last.get().step() < training.steps()) {
      return Optional.empty();
    }
    RunCheckpoints.requireTrainedBy(config, last.get());
    byte[] line = lines.getLast().getBytes(StandardCharsets.UTF_8);
    JsonNode bits = StrictJson.tree(line).get("validation_bits_per_byte");
    if (bits == null) {
      return Optional.empty(); // stopped at a step that became the last one only afterwards
    }
    return Optional.of(
        new TrainingRun.Outcome(
            path, training.steps(), training.steps(), training.tokensPerStep(), bits.asDouble(), 0, report));
  }

  /** Writes what a new run starts from; {@code tokenizer} may be null. */
  void begin(RunConfig config, Path tokenizer, Text text) throws IOException {
    Files.createDirectory(checkpoints());
    if (tokenizer != null) {
      Files.copy(tokenizer, path.resolve(ModelFolder.TOKENIZER));
    }
    replace(TEXT, ConfigJson.text(TextRecord.of(text)));
    replace(CONFIG, config.toJson());
  }

  /** Writes the settings that the run goes on with. */
  void reconfigure(RunConfig config) {
    if (!config.equals(config())) {
      replace(CONFIG, config.toJson());
    }
  }

  /**
   * The text that the run was started on.
   *
   * @param moved the same text in another place, to be remembered from now on, or null
   * @throws IllegalArgumentException if it is not there, or not the same
   */
  Text text(Text moved) {
    Path remembered = path.resolve(TEXT);
    if (Files.notExists(remembered)) {
      throw new IllegalArgumentException(
          remembered + ", which says what text the run was started on, is missing; put it back, or start a new run in "
              + "another --out");
    }
    TextRecord record = ConfigJson.read(remembered, TextRecord.class);
    Text text = moved != null ? moved : record.read();
    TextRecord found = TextRecord.of(text);
    if (!found.sha256().equals(record.sha256())) {
      throw new IllegalArgumentException(
          moved != null
              ? "the run in " + path + " was started on another text; without --text and --languages it resumes its own"
              : "the text " + text.source() + " has changed since the run in " + path + " was started on it");
    }
    if (lockFile != null && !found.equals(record)) {
      replace(TEXT, ConfigJson.text(found));
    }
    return text;
  }

  /** Appends a step's line. */
  void append(StepMetrics metrics) throws IOException {
    Files.writeString(
        path.resolve(METRICS),
        metrics.toJson() + "\n",
        StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
  }

  /** Forgets the metrics after {@code step}: those steps will be trained again. */
  void rewindMetrics(long step) throws IOException {
    Path file = path.resolve(METRICS);
    if (Files.exists(file)) {
      List<String> lines = Files.readAllLines(file);
      replace(METRICS, String.join("", lines.stream().limit(step).map(line -> line + "\n").toList()));
    }
  }

  /** Writes a file as a whole or not at all. */
  void replace(String name, String text) {
    Path temporary = path.resolve("." + name + ".tmp");
    try {
      Files.write(temporary, text.getBytes(StandardCharsets.UTF_8));
      Files.move(temporary, path.resolve(name), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
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
      if (made && empty(path)) {
        Files.delete(path.resolve(LOCK));
        Files.delete(path);
      }
    }
  }

  private static boolean empty(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.allMatch(file -> file.getFileName().toString().equals(LOCK));
    }
  }

  private static boolean locks(RandomAccessFile file) throws IOException {
    try {
      FileLock lock = file.getChannel().tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false;
    }
  }
}
