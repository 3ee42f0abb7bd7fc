package panamoe.harness.train;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import panamoe.data.ByteTokenizer;
import panamoe.data.Corpus;
import panamoe.data.JsonTokenizer;
import panamoe.data.Tokenizer;
import panamoe.generate.ModelFolder;
import panamoe.train.RunConfig;
import panamoe.train.StepMetrics;

/**
 * The folder of one run, held by a lock against a second process:
 *
 * <pre>
 * config.json     model, training, seed
 * tokenizer.json  unless the run works on bytes
 * text.sha256     of the text, so that a run is not resumed on another
 * metrics.jsonl   one line a step
 * checkpoints/    step-00000200/ ..., latest
 * </pre>
 */
final class RunFolder implements AutoCloseable {
  private static final String CONFIG = "config.json";
  private static final String TEXT = "text.sha256";
  private static final String METRICS = "metrics.jsonl";
  private static final String LOCK = ".lock";

  private final Path path;
  private final RandomAccessFile lockFile;

  /** @param lockFile null where another process holds the folder for this one */
  private RunFolder(Path path, RandomAccessFile lockFile) {
    this.path = path;
    this.lockFile = lockFile;
  }

  private static RunFolder locked(Path path) throws IOException {
    RandomAccessFile lockFile = new RandomAccessFile(path.resolve(LOCK).toFile(), "rw");
    if (!locks(lockFile)) {
      lockFile.close();
      throw new IllegalArgumentException("another process is training in " + path);
    }
    return new RunFolder(path, lockFile);
  }

  /**
   * A folder for a new run.
   *
   * @throws IllegalArgumentException if the folder already holds something
   */
  static RunFolder create(Path path) throws IOException {
    if (Files.exists(path.resolve(CONFIG))) {
      throw new IllegalArgumentException(
          path + " already holds a run; --resume goes on with it, or choose another --out");
    }
    if (Files.isDirectory(path)) {
      try (Stream<Path> files = Files.list(path)) {
        if (files.anyMatch(file -> !file.getFileName().toString().equals(LOCK))) {
          throw new IllegalArgumentException(path + " is not empty and holds no run; choose another --out");
        }
      }
    }
    Files.createDirectories(path);
    return locked(path);
  }

  /** The folder of a run to go on with. */
  static RunFolder open(Path path) throws IOException {
    if (!Files.isRegularFile(path.resolve(CONFIG))) {
      throw new IllegalArgumentException("there is no run to resume in " + path + ": it has no " + CONFIG);
    }
    return locked(path);
  }

  /** The folder of a run that another process leads, with rank 0; this one reads there and saves its shards. */
  static RunFolder follow(Path path) {
    return new RunFolder(path, null);
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

  /** Writes what a new run starts from; {@code tokenizer} may be null. */
  void begin(RunConfig config, Path tokenizer, Corpus text) throws IOException {
    if (tokenizer != null) {
      Files.copy(tokenizer, path.resolve(ModelFolder.TOKENIZER));
    }
    replace(TEXT, text.sha256() + "\n");
    replace(CONFIG, config.toJson());
  }

  /** @throws IllegalArgumentException if the run did not start on this text */
  void requireText(Corpus text) throws IOException {
    if (!Files.readString(path.resolve(TEXT)).strip().equals(text.sha256())) {
      throw new IllegalArgumentException(
          "the run in " + path + " was started on another text; resume it with the same --text or --languages");
    }
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
    if (lockFile != null) {
      lockFile.close();
      Files.deleteIfExists(path.resolve(LOCK));
      if (!Files.exists(path.resolve(CONFIG))) {
        deleteIfEmpty();
      }
    }
  }

  /** A run that was refused before it began leaves nothing behind. */
  private void deleteIfEmpty() throws IOException {
    try {
      Files.deleteIfExists(path);
    } catch (DirectoryNotEmptyException _) {
      // Somebody else's files: they stay.
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
