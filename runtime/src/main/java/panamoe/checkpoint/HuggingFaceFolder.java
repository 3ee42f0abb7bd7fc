package panamoe.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import panamoe.io.FileErrors;
import panamoe.io.RegularFile;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The folder of a released model in Hugging Face's layout: {@code config.json} and the weights in
 * {@code model.safetensors}, or in the shards that {@code model.safetensors.index.json} lists.
 *
 * @param config the object in {@code config.json}
 */
public record HuggingFaceFolder(Path path, ObjectNode config) {
  public static final String CONFIG = "config.json";
  public static final String WHOLE = "model.safetensors";
  public static final String INDEX = "model.safetensors.index.json";
  private static final Pattern SHARD = Pattern.compile("model-\\d+-of-\\d+\\.safetensors");
  private static final Pattern PLAIN = Pattern.compile("[\\w-][\\w.-]*\\.safetensors");
  private static final Pattern PICKLE = Pattern.compile(".*\\.(bin|pt|pth)");
  private static final String SAFETENSORS = ", which are programs; get the model as safetensors";
  private static final int MAX_JSON_BYTES = 64 << 20;
  private static final Pattern REVISION = Pattern.compile("\\w+");
  private static final int MAX_REVISION_BYTES = 128;

  /**
   * The folder if its {@code config.json} has a {@code model_type} and it is not a checkpoint of
   * Panamoe. In a cache of downloads it is the snapshot that {@code refs/main} names.
   *
   * @throws CheckpointException if {@code config.json} cannot be read, or there is no such snapshot
   */
  public static Optional<HuggingFaceFolder> of(Path given) {
    Path path = snapshot(given);
    Path config = path.resolve(CONFIG);
    if (!there(config) || there(path.resolve(Manifest.FILE_NAME))) {
      return Optional.empty();
    }
    ObjectNode object = SavedFile.object(config, MAX_JSON_BYTES);
    return object.path("model_type").isString()
        ? Optional.of(new HuggingFaceFolder(path, object))
        : Optional.empty();
  }

  /**
   * Refuses a file of pickled PyTorch weights.
   *
   * @throws CheckpointException if its name says so
   */
  public static void refusePickle(Path path) {
    Path name = path.getFileName();
    if (name != null && PICKLE.matcher(name.toString()).matches() && Files.isRegularFile(path)) {
      throw new CheckpointException(
          path + " is a file of Python's pickles" + SAFETENSORS + ", and name its folder");
    }
  }

  private static Path snapshot(Path path) {
    Path main = path.resolve("refs").resolve("main");
    Path snapshots = path.resolve("snapshots");
    if (!there(main) || !there(snapshots)) {
      return path;
    }
    String revision;
    try {
      revision = new String(RegularFile.read(main, MAX_REVISION_BYTES), UTF_8).strip();
    } catch (IOException e) {
      throw CheckpointException.unread(main, e);
    }
    if (!REVISION.matcher(revision).matches() || !there(snapshots.resolve(revision))) {
      throw new CheckpointException(
          main + " names no folder in " + snapshots + ": download the model again");
    }
    return snapshots.resolve(revision);
  }

  private static boolean there(Path file) {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
  }

  /** The file of {@link #config}. */
  public Path configFile() {
    return path.resolve(CONFIG);
  }

  /**
   * Opens the files of the weights and compares them with the index. The caller closes them.
   *
   * @throws CheckpointException if one is missing, damaged, outside of the folder or not in the
   *     index, or if there are only Python's pickles
   */
  public Shards open() {
    boolean whole = there(path.resolve(WHOLE));
    boolean index = there(path.resolve(INDEX));
    if (whole && index) {
      throw new CheckpointException(
          path + " holds both " + WHOLE + " and " + INDEX + "; remove the one that is not meant");
    }
    if (whole) {
      return Shards.open(path, List.of(path.resolve(WHOLE)));
    }
    if (index) {
      return open(places());
    }
    throw new CheckpointException(
        names().stream()
            .filter(name -> PICKLE.matcher(name).matches())
            .findFirst()
            .map(
                pickle ->
                    path + " has its weights in Python's pickles, such as " + pickle + SAFETENSORS)
            .orElse(path + " holds neither " + WHOLE + " nor " + INDEX));
  }

  /**
   * The names of the files of the weights, which need not be there.
   *
   * @throws CheckpointException if the index cannot be read
   */
  public Set<String> files() {
    return there(path.resolve(INDEX)) ? new TreeSet<>(places().values()) : Set.of(WHOLE);
  }

  /** Whether the files of the weights are there. */
  public boolean hasWeights() {
    return files().stream().map(path::resolve).allMatch(Files::exists);
  }

  /** The file of each tensor, by the index. */
  private Map<String, String> places() {
    Path file = path.resolve(INDEX);
    if (!(SavedFile.object(file, MAX_JSON_BYTES).path("weight_map") instanceof ObjectNode map)) {
      throw new CheckpointException(file + " has no object weight_map");
    }
    Map<String, String> places = new TreeMap<>();
    for (Map.Entry<String, JsonNode> entry : map.properties()) {
      JsonNode name = entry.getValue();
      if (!name.isString() || !PLAIN.matcher(name.asString()).matches()) {
        throw new CheckpointException(
            "%s places the tensor %s in %s, which is not the name of a safetensors file in its"
                + " folder",
            file, entry.getKey(), name);
      }
      places.put(entry.getKey(), name.asString());
    }
    return places;
  }

  private Shards open(Map<String, String> places) {
    TreeSet<String> files = new TreeSet<>(places.values());
    for (String name : names()) {
      if (SHARD.matcher(name).matches() && !files.contains(name)) {
        throw new CheckpointException(
            path.resolve(name) + " is a shard that " + INDEX + " does not name");
      }
    }
    Shards shards = Shards.open(path, files.stream().map(path::resolve).toList());
    try {
      Map<String, StoredTensor> tensors = shards.tensors();
      places.forEach(
          (tensor, file) -> {
            StoredTensor stored = tensors.get(tensor);
            if (stored == null || !shards.file(stored).getFileName().toString().equals(file)) {
              throw new CheckpointException(
                  "%s lacks the tensor %s, which %s places there",
                  path.resolve(file), tensor, INDEX);
            }
          });
      for (StoredTensor tensor : tensors.values()) {
        if (!places.containsKey(tensor.name())) {
          throw new CheckpointException(
              "%s holds the tensor %s, which %s does not name",
              shards.file(tensor), tensor.name(), INDEX);
        }
      }
      return shards;
    } catch (RuntimeException | Error e) {
      shards.close();
      throw e;
    }
  }

  private List<String> names() {
    try (Stream<Path> files = Files.list(path)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    } catch (IOException e) {
      throw new CheckpointException(path + " could not be listed: " + FileErrors.reason(e), e);
    }
  }
}
