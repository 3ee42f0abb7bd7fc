package panamoe.checkpoint.rows;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;

/** Tensors of bytes in memory. */
final class MemoryFiles implements TensorFiles {
  private final Map<String, StoredTensor> tensors = new LinkedHashMap<>();
  private final Map<String, byte[]> bytes = new LinkedHashMap<>();

  StoredTensor put(String name, StoredType type, byte[] content, long... shape) {
    StoredTensor tensor = new StoredTensor(name, type, shape, 0, content.length);
    tensors.put(name, tensor);
    bytes.put(name, content);
    return tensor;
  }

  @Override
  public Map<String, StoredTensor> tensors() {
    return tensors;
  }

  @Override
  public Path file(StoredTensor tensor) {
    return Path.of("memory");
  }

  @Override
  public void read(StoredTensor tensor, long offset, MemorySegment into) {
    MemorySegment content = MemorySegment.ofArray(bytes.get(tensor.name()));
    into.copyFrom(content.asSlice(offset, into.byteSize()));
  }

  @Override
  public void close() {}
}
