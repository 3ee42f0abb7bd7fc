package panamoe.harness.conformance;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.SafetensorsReader;

/** One recorded case: tensors, and in the metadata the kind of the case and its settings. */
final class GoldenFile implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final SafetensorsReader reader;
  private final String prefix;
  private final String kind;
  private final JsonNode settings;

  /**
   * @throws CheckpointException if this is no safetensors file, or its metadata name no kind of case
   */
  GoldenFile(Path path) {
    this(path, "");
  }

  /**
   * As above, for a case in a case: where there is a tensor {@code prefix + name}, that is the one called {@code name}.
   */
  GoldenFile(Path path, String prefix) {
    this.prefix = prefix;
    this.reader = SafetensorsReader.open(path);
    try {
      this.kind = reader.metadata().get("op");
      if (kind == null) {
        throw new CheckpointException(path + ": no 'op' in the metadata, so this is no recorded case");
      }
      this.settings = JSON.readTree(reader.metadata().getOrDefault("golden", "{}"));
    } catch (JsonProcessingException e) {
      reader.close();
      throw new CheckpointException(path + ": 'golden' in the metadata is not JSON", e);
    } catch (CheckpointException e) {
      reader.close();
      throw e;
    }
  }

  String kind() {
    return kind;
  }

  Path path() {
    return reader.path();
  }

  /** A setting of the case. */
  JsonNode setting(String name) {
    JsonNode value = settings.get(name);
    if (value == null) {
      throw new CheckpointException(path() + ": 'golden' in the metadata has no '" + name + "'");
    }
    return value;
  }

  /** A setting that not all cases of a kind have; a missing node without it. */
  JsonNode optionalSetting(String name) {
    return settings.path(name);
  }

  /** A hyper-parameter: an entry of the setting {@code hyper}. */
  JsonNode hyper(String name) {
    JsonNode value = setting("hyper").get(name);
    if (value == null) {
      throw new CheckpointException(path() + ": 'hyper' in the metadata has no '" + name + "'");
    }
    return value;
  }

  boolean has(String tensor) {
    return reader.contains(named(tensor));
  }

  long[] shape(String tensor) {
    return reader.tensor(named(tensor)).shape().clone();
  }

  int size(String tensor, int axis) {
    long[] shape = shape(tensor);
    return Math.toIntExact(shape[axis < 0 ? shape.length + axis : axis]);
  }

  float[] floats(String tensor) {
    return reader.floats(named(tensor));
  }

  float scalar(String tensor) {
    return floats(tensor)[0];
  }

  double[] doubles(String tensor) {
    return reader.doubles(named(tensor));
  }

  long[] longs(String tensor) {
    return reader.longs(named(tensor));
  }

  private String named(String tensor) {
    return reader.contains(prefix + tensor) ? prefix + tensor : tensor;
  }

  @Override
  public void close() {
    reader.close();
  }
}
