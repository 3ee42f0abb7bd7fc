package panamoe.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Several safetensors files read as one; no two may hold the same tensor. */
final class Shards implements AutoCloseable {
  private final List<SafetensorsReader> readers = new ArrayList<>();
  private final Map<String, SafetensorsReader> byName = new LinkedHashMap<>();

  private Shards() {}

  static Shards open(List<Path> files) {
    Shards shards = new Shards();
    try {
      files.forEach(shards::add);
      return shards;
    } catch (RuntimeException e) {
      shards.close();
      throw e;
    }
  }

  private void add(Path file) {
    SafetensorsReader reader = SafetensorsReader.open(file);
    readers.add(reader);
    for (StoredTensor tensor : reader.tensors()) {
      SafetensorsReader other = byName.put(tensor.name(), reader);
      if (other != null) {
        throw new CheckpointException("tensor " + tensor.name() + " is both in " + other.path() + " and in " + file);
      }
    }
  }

  Map<String, StoredTensor> tensors() {
    Map<String, StoredTensor> tensors = new LinkedHashMap<>();
    byName.forEach((name, reader) -> tensors.put(name, reader.tensor(name)));
    return tensors;
  }

  SafetensorsReader reader(String tensor) {
    return byName.get(tensor);
  }

  @Override
  public void close() {
    readers.forEach(SafetensorsReader::close);
  }
}
