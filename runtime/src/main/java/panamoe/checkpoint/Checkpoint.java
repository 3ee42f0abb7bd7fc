package panamoe.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.DoubleConsumer;
import java.util.function.Function;
import panamoe.backend.Backend;
import panamoe.io.ConfigJson;
import panamoe.io.PathKind;
import panamoe.io.Words;
import panamoe.tensor.DType;
import tools.jackson.databind.node.ObjectNode;

/**
 * One saved checkpoint: a directory with {@code model.safetensors} and {@code
 * optimizer.safetensors} (or numbered shards of them), {@code config.json}, {@code state.json} and
 * {@code manifest.json}. Except for headers, nothing is returned before its checksum was compared
 * with the manifest. Immutable.
 */
public final class Checkpoint {
  static final String MODEL = "model";
  static final String OPTIMIZER = "optimizer";
  static final String CONFIG = "config.json";
  static final String STATE = "state.json";

  /**
   * The key in the configuration of a quantized model. Its experts' matrices are in blocks, other
   * weights may be BFLOAT16, and it has no state of a trainer or optimizer.
   */
  public static final String QUANTIZATION = "quantization";

  private static final int MAX_JSON_BYTES = 64 << 20;
  private static final int FEW = 3; // names in a message

  private final Path directory;
  private final Manifest manifest;
  private final CheckedFiles files;

  private Checkpoint(Path directory, Manifest manifest) {
    this.directory = directory;
    this.manifest = manifest;
    this.files = new CheckedFiles(directory, manifest);
  }

  /**
   * Opens a checkpoint, or the latest one of a {@link CheckpointStore}'s folder. Reads the manifest
   * and compares the sizes of the files; their checksums are compared when they are read.
   *
   * @throws CheckpointException if there is no checkpoint, if it cannot be read, or if a file of
   *     the latest is missing, has another size or is not a regular file; for a damaged one the
   *     message names the newest intact checkpoint of its folder
   */
  public static Checkpoint open(Path path) {
    return read(path, checkpoint -> checkpoint);
  }

  /**
   * Opens a checkpoint (of a folder, the best if its run keeps it, else the latest) and passes it
   * to {@code reader}. If a training run deletes that checkpoint meanwhile, {@code reader} is
   * called again with its successor.
   *
   * @throws CheckpointException like {@link #open}; exceptions of {@code reader} pass through
   */
  public static <T> T read(Path path, Function<Checkpoint, T> reader) {
    try {
      PathKind found = PathKind.behind(path);
      if (found != PathKind.FOLDER) {
        throw new CheckpointException(
            "%s, expected the folder of a run, a checkpoint or a released model, or a file *.gguf",
            path + (found == PathKind.NONE ? " does not exist" : " is " + kind(path)));
      }
      if (PathKind.at(path.resolve(Manifest.FILE_NAME)) != PathKind.NONE) {
        return reader.apply(openDirectory(path));
      }
    } catch (IOException e) {
      throw CheckpointException.unread(path, e);
    }
    return new CheckpointStore(path, 1)
        .readBest(reader)
        .orElseThrow(
            () ->
                new CheckpointException(
                    DeepSpeedFolder.reason(path).orElseGet(() -> holdsNone(path))));
  }

  /** What a folder holds, and which files were looked for. */
  private static String holdsNone(Path folder) {
    try {
      List<String> names =
          Disk.list(folder).stream().map(Path::getFileName).map(Path::toString).toList();
      String first = String.join(", ", names.subList(0, Math.min(names.size(), FEW)));
      String more = names.size() > FEW ? " and " + (names.size() - FEW) + " more" : "";
      return Words.of(
          "%s holds %s%s: no checkpoint (%s or step-* folders), no released model (%s with a"
              + " model_type)",
          folder,
          names.isEmpty() ? "nothing" : first,
          more,
          Manifest.FILE_NAME,
          HuggingFaceFolder.CONFIG);
    } catch (IOException e) {
      throw CheckpointException.unread(folder, e);
    }
  }

  private static String kind(Path file) {
    try (FileChannel channel = SavedFile.open(file)) {
      ByteBuffer prefix = ByteBuffer.allocate(ForeignFormat.PREFIX_BYTES);
      int read = Math.max(0, channel.read(prefix, 0));
      return ForeignFormat.of(Arrays.copyOf(prefix.array(), read))
          .map(ForeignFormat::description)
          .orElse("not a directory");
    } catch (IOException | CheckpointException _) {
      return "not a directory";
    }
  }

  static Checkpoint openDirectory(Path directory) {
    Checkpoint checkpoint = new Checkpoint(directory, Manifest.read(directory));
    checkpoint.files.requireSizes();
    return checkpoint;
  }

  /** Whether its directory was deleted, for example by a later save of its run. */
  public boolean isGone() {
    return isGone(directory);
  }

  static boolean isGone(Path directory) {
    try {
      return PathKind.at(directory) == PathKind.NONE;
    } catch (IOException e) {
      return false; // unknown counts as not gone
    }
  }

  public Path directory() {
    return directory;
  }

  /** The SHA-256 of its manifest, and so of its contents, in hexadecimal digits. */
  public String sha256() {
    return manifest.sha256();
  }

  /** The number of training steps done when it was saved. */
  public long step() {
    return manifest.step();
  }

  /** The number of experts of each layer, 0 for a dense layer. */
  public List<Integer> experts() {
    return manifest.experts();
  }

  /** The model's configuration. */
  public ObjectNode config() {
    return json(CONFIG);
  }

  /**
   * A part of the configuration.
   *
   * @throws CheckpointException with the file, the JSON path and what is wrong
   */
  public <T> T config(String part, Class<T> type) {
    try {
      return ConfigJson.read(config().path(part), type, directory + "/" + CONFIG + ", " + part);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(e.getMessage(), e);
    }
  }

  /** The trainer's state. */
  public ObjectNode state() {
    return json(STATE);
  }

  /** The step of the run's best checkpoint, which is kept; empty if the run does not keep one. */
  public OptionalLong bestStep() {
    return CheckpointStore.best(state());
  }

  /** Bytes of the model's files: a lower bound for the memory of its weights in FLOAT32. */
  public long modelBytes() {
    return files.bytes(MODEL);
  }

  /**
   * Refuses a model that cannot fit, before anything is read or allocated. The message gives the
   * number of ranks that could hold it.
   *
   * @param dtype of the weights in memory, which are FLOAT32 in the files
   * @param availableBytes free memory of the device
   */
  public void requireFits(DType dtype, long availableBytes) {
    int storedByHeld = DType.FLOAT32.bytes() / dtype.bytes();
    long neededBytes = modelBytes() / storedByHeld;
    if (neededBytes > availableBytes) {
      throw new CheckpointException(
          "the model of %s needs %s bytes, but only %s are available; %s",
          directory, neededBytes, availableBytes, fittingRanks(availableBytes * storedByHeld));
    }
  }

  /** Uses the headers only: checksums would read all of a model that is too large anyway. */
  private String fittingRanks(long availableBytes) {
    try (Shards shards = headers()) {
      OptionalInt ranks =
          ExpertShare.of(shards.tensors().values(), experts()).ranksFor(availableBytes);
      return ranks.isPresent()
          ? "it would fit with EP >= "
              + ranks.getAsInt()
              + ", its experts spread over as many ranks"
          : "it would not fit with its experts spread over ranks either";
    }
  }

  /**
   * Refuses a model whose tensors differ from the files', before anything is allocated, because a
   * configuration can ask for any size. Reads only the headers.
   *
   * @param wanted FLOAT32 shapes by name
   * @throws CheckpointException with up to 20 mismatches, each with its layer and expert
   */
  public void requireHolds(Map<String, long[]> wanted) {
    try (Shards shards = headers()) {
      shards.require(wanted, false);
    } catch (CheckpointException e) {
      throw files.orChange(MODEL, e);
    }
  }

  /** Compares the checksum of every file with the manifest. */
  public void verify() {
    manifest.files().keySet().forEach(files::checked);
  }

  /** Whether all files are unchanged. Reads them completely. */
  boolean isIntact() {
    return manifest.files().keySet().stream().allMatch(name -> files.change(name).isEmpty());
  }

  /**
   * Loads the model's tensors into targets, on the backend's number of threads. Nothing is read
   * unless all names, shapes and dtypes agree. A load needs about a megabyte per thread in addition
   * to the targets. After a failure the targets' contents are undefined.
   *
   * @param destinations targets of every weight of the model, by name
   * @param backend whose memory the targets are
   * @param allowExtra accepts stored tensors without a destination, with a warning
   * @param strict rejects NaN and infinite values, after reading; otherwise they give one warning
   * @param progress gets the part that is read, 0 to 1, from any thread
   * @throws CheckpointException with up to 20 mismatches, each with its layer and expert; or if a
   *     file was changed since it was saved
   */
  public LoadReport loadModel(
      Map<String, LoadTarget> destinations,
      Backend backend,
      boolean allowExtra,
      boolean strict,
      DoubleConsumer progress) {
    return new ModelLoad(files, destinations, backend, strict, progress).whole(allowExtra);
  }

  /**
   * Loads a rank's share of the model's tensors and reads no other bytes, so that checksums are not
   * compared. Otherwise like {@link #loadModel}.
   *
   * @param destinations targets of the rank's weights, by name
   */
  public LoadReport loadShare(
      Map<String, LoadTarget> destinations,
      Backend backend,
      boolean strict,
      DoubleConsumer progress) {
    return new ModelLoad(files, destinations, backend, strict, progress).share();
  }

  /**
   * The model's tensors, to be read one by one. Checks the checksums of their files first. The
   * caller closes it.
   */
  public Shards model() {
    return files.open(MODEL);
  }

  /** The model's tensors, without a check of their files' checksums. The caller closes it. */
  public Shards headers() {
    return files.headers(MODEL);
  }

  /** The optimizer's tensors; otherwise like {@link #model()}. */
  public Shards optimizer() {
    return files.open(OPTIMIZER);
  }

  private ObjectNode json(String name) {
    if (!manifest.files().containsKey(name)) {
      throw new CheckpointException(directory.resolve(Manifest.FILE_NAME) + " lists no " + name);
    }
    return SavedFile.object(files.checked(name), MAX_JSON_BYTES);
  }
}
