package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import panamoe.tensor.DType;

/**
 * A matrix of stored tensors that is read and decoded in parts; a vector is a matrix of one column.
 * Sources compose: a part of a stack, transposed, every second row of it. Thread-safe.
 */
public interface RowSource {
  /**
   * The dtype of parts: the stored one if the runtime has it, else FLOAT32; blocks for {@link
   * #inBlocks}.
   */
  DType dtype();

  long rows();

  long columns();

  /**
   * Reads a rectangle.
   *
   * @param into native, filled with {@code rows * columns} elements of {@link #dtype}, row-major
   * @throws panamoe.checkpoint.CheckpointException if a file cannot be read
   */
  void read(long row, long rows, long column, long columns, MemorySegment into);

  /**
   * Whether some numbers are stored as codes with scales: in blocks, or in tensors of their own.
   */
  default boolean encoded() {
    return false;
  }

  /**
   * The rows in their stored blocks; a rectangle's columns are then whole blocks. Empty unless all
   * are in blocks of one dtype that kernels have.
   */
  default Optional<RowSource> inBlocks() {
    return Optional.empty();
  }
}
