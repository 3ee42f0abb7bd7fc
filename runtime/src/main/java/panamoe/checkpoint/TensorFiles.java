package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;

/** The tensors of a model's files, whatever their format. Thread-safe. */
public interface TensorFiles extends AutoCloseable {
  /** Every tensor by its name. */
  Map<String, StoredTensor> tensors();

  /** The file that holds a tensor of {@link #tensors}, for messages. */
  Path file(StoredTensor tensor);

  /**
   * Reads stored bytes of a tensor.
   *
   * @param tensor of {@link #tensors}, or a view of one with its name and place
   * @param offset of the first byte from the tensor's first
   * @param into native; is filled
   * @throws CheckpointException if the file cannot be read
   */
  void read(StoredTensor tensor, long offset, MemorySegment into);

  @Override
  void close();
}
