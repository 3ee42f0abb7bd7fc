package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import panamoe.tensor.DType;

/**
 * A matrix that is read from stored tensors, and decoded, a part at a time; a vector is a matrix of
 * one column. Sources are composed: a part of a stack, transposed, every second row of it. Any
 * thread may read.
 */
public interface RowSource {
  /**
   * What parts are read as: as they are stored where the runtime has that, else FLOAT32; blocks of
   * {@link #inBlocks}.
   */
  DType dtype();

  long rows();

  long columns();

  /**
   * Reads a rectangle.
   *
   * @param into native, filled with {@code rows * columns} elements of {@link #dtype}, row-major
   * @throws panamoe.checkpoint.CheckpointException if a file cannot be read any more
   */
  void read(long row, long rows, long column, long columns, MemorySegment into);

  /**
   * The same rows, of which the blocks are read that they are stored in: a rectangle's columns are
   * whole blocks. Empty unless all are blocks of one dtype that kernels multiply by.
   */
  default Optional<RowSource> inBlocks() {
    return Optional.empty();
  }
}
