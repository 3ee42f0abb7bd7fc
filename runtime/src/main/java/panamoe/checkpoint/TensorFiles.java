package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;

/** The tensors of a model's files, whatever their format. Any thread may read. */
public interface TensorFiles extends AutoCloseable {
  /** Every tensor by its name. */
  Map<String, StoredTensor> tensors();

  /** The file that holds a tensor of {@link #tensors}, for messages. */
  Path file(StoredTensor tensor);

  /**
   * Reads bytes of a tensor as they are stored.
   *
   * @param tensor of {@link #tensors}, or a view of one by the same name and place
   * @param offset of the first byte, from the tensor's first on
   * @param into native, and filled
   * @throws CheckpointException if the file cannot be read any more
   */
  void read(StoredTensor tensor, long offset, MemorySegment into);

  @Override
  void close();
}
