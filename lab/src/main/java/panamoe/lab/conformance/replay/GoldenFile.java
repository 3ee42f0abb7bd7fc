package panamoe.lab.conformance.replay;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.regex.Pattern;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.SafetensorsReader;
import panamoe.checkpoint.StoredTensor;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** One recorded case: tensors, and metadata with the kind and the settings of the case. */
public final class GoldenFile implements AutoCloseable {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final int REMEMBERED = 3;
  private static final Pattern COMPARED = Pattern.compile("(rank\\d+\\.)?(w\\.|grad)");

  private final SafetensorsReader reader;
  private final String prefix;
  private final String kind;
  private final JsonNode settings;
  private final Deque<String> read; // the last reads, latest at the end
  private final Set<String> tensorsRead;

  /**
   * @throws CheckpointException if this is not a safetensors file, or its metadata has no kind of
   *     case
   */
  public GoldenFile(Path path) {
    this(path, "", new ConcurrentLinkedDeque<>(), ConcurrentHashMap.newKeySet());
  }

  private GoldenFile(Path path, String prefix, Deque<String> read, Set<String> tensorsRead) {
    this.prefix = prefix;
    this.read = read;
    this.tensorsRead = tensorsRead;
    this.reader = SafetensorsReader.open(path);
    try {
      this.kind = reader.metadata().get("op");
      if (kind == null) {
        throw new CheckpointException(
            path + ": no 'op' in the metadata, so this is not a recorded case");
      }
      this.settings = JSON.readTree(reader.metadata().getOrDefault("golden", "{}"));
    } catch (JacksonException e) {
      reader.close();
      throw new CheckpointException(path + ": 'golden' in the metadata is not JSON", e);
    } catch (CheckpointException e) {
      reader.close();
      throw e;
    }
  }

  /** A view of the tensors whose names start with {@code prefix}, without the prefix. */
  public GoldenFile part(String prefix) {
    return new GoldenFile(path(), prefix, read, tensorsRead);
  }

  /** The message for a readable file whose tensors and settings contradict each other. */
  public String misfit() {
    String last = read.isEmpty() ? "" : "; read last: " + String.join(", ", read);
    return path() + ": its tensors and settings do not fit together" + last;
  }

  /** Recorded weights and gradients that the replay did not read: the comparison is incomplete. */
  public List<String> unread() {
    return reader.tensors().stream()
        .map(StoredTensor::name)
        .filter(name -> COMPARED.matcher(name).lookingAt() && !tensorsRead.contains(name))
        .toList();
  }

  public String kind() {
    return kind;
  }

  public Path path() {
    return reader.path();
  }

  /** A setting of the case. */
  public JsonNode setting(String name) {
    return required(settings, "golden", "", name);
  }

  /** True if the case belongs to the model of its folder. */
  public boolean isOfModel() {
    return isOfModel(path());
  }

  static boolean isOfModel(Path file) {
    return Files.exists(file.resolveSibling("config.json"));
  }

  /** True if the case has this setting. */
  public boolean states(String name) {
    return settings.has(name);
  }

  /** An optional setting; a missing node if absent. */
  public JsonNode optionalSetting(String name) {
    return settings.path(name);
  }

  /** A hyper-parameter: an entry of the setting {@code hyper}. */
  public JsonNode hyper(String name) {
    return required(setting("hyper"), "hyper", "hyper.", name);
  }

  private JsonNode required(JsonNode values, String what, String prefix, String name) {
    JsonNode value = values.get(name);
    if (value == null) {
      throw new CheckpointException(
          path() + ": '" + what + "' in the metadata has no '" + name + "'");
    }
    remember("the setting " + prefix + name + " = " + value);
    return value;
  }

  /** An optional hyper-parameter; a missing node if absent. */
  public JsonNode optionalHyper(String name) {
    return settings.path("hyper").path(name);
  }

  public boolean has(String tensor) {
    return reader.contains(named(tensor));
  }

  public long[] shape(String tensor) {
    return reader.tensor(remembered(tensor)).shape().clone();
  }

  public int size(String tensor, int axis) {
    long[] shape = shape(tensor);
    int from = axis < 0 ? shape.length + axis : axis;
    if (from < 0 || from >= shape.length) {
      throw new CheckpointException(
          "%s: tensor %s has the shape %s, which has no axis %s",
          path(), tensor, Arrays.toString(shape), axis);
    }
    return Math.toIntExact(shape[from]);
  }

  public float[] floats(String tensor) {
    return reader.floats(remembered(tensor));
  }

  /** Several tensors, concatenated. */
  public float[] stacked(List<String> tensors) {
    return Layouts.concatenated(tensors.stream().map(this::floats).toArray(float[][]::new));
  }

  public float scalar(String tensor) {
    float[] values = floats(tensor);
    if (values.length != 1) {
      throw new CheckpointException(
          path() + ": tensor " + tensor + " has " + values.length + " elements, expected 1");
    }
    return values[0];
  }

  public double[] doubles(String tensor) {
    return reader.doubles(remembered(tensor));
  }

  public long[] longs(String tensor) {
    return reader.longs(remembered(tensor));
  }

  /** Flags of nonzero numbers; null if the case has no such tensor. */
  public boolean[] flags(String tensor) {
    if (!has(tensor)) {
      return null;
    }
    long[] numbers = longs(tensor);
    boolean[] flags = new boolean[numbers.length];
    for (int i = 0; i < flags.length; i++) {
      flags[i] = numbers[i] != 0;
    }
    return flags;
  }

  private String remembered(String tensor) {
    String name = named(tensor);
    StoredTensor stored = reader.tensor(name);
    tensorsRead.add(name);
    remember("tensor " + name + " " + Arrays.toString(stored.shape()));
    return name;
  }

  private void remember(String what) {
    if (!read.contains(what)) {
      read.addLast(what);
    }
    while (read.size() > REMEMBERED) {
      read.pollFirst();
    }
  }

  private String named(String tensor) {
    return reader.contains(prefix + tensor) ? prefix + tensor : tensor;
  }

  @Override
  public void close() {
    reader.close();
  }
}
