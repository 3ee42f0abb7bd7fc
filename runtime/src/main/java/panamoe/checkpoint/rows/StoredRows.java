package panamoe.checkpoint.rows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.checkpoint.CheckpointException;
import panamoe.checkpoint.StoredTensor;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.TensorFiles;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;

/**
 * A stored tensor, or some rows of it.
 *
 * @param first the first row among the tensor's
 */
public record StoredRows(
    TensorFiles files, StoredTensor tensor, long first, long rows, long columns)
    implements RowSource {

  public StoredRows {
    StoredType type = tensor.type();
    if (type.sameBits().isEmpty() && !type.decodes()) {
      throw new CheckpointException(
          files.file(tensor) + ": tensor " + tensor + " has a dtype that no weight has");
    }
  }

  /** A whole tensor: all dimensions but the first are columns. */
  public static StoredRows of(TensorFiles files, StoredTensor tensor) {
    long[] shape = tensor.shape();
    long rows = shape.length == 0 ? 1 : shape[0];
    return new StoredRows(files, tensor, 0, rows, rows == 0 ? 0 : Tensor.count(shape) / rows);
  }

  /**
   * One matrix (or vector) of a stack.
   *
   * @param tensor [E, N, ...]: dimensions after N are columns
   */
  public static StoredRows part(TensorFiles files, StoredTensor tensor, long index) {
    long rows = tensor.shape()[1];
    long all = tensor.shape()[0] * rows;
    long columns = all == 0 ? 0 : Tensor.count(tensor.shape()) / all;
    return new StoredRows(files, tensor, index * rows, rows, columns);
  }

  /** The bytes of a tensor, which go nowhere. */
  public static StoredRows bytes(TensorFiles files, StoredTensor tensor) {
    long[] shape = {tensor.bytes()};
    return of(
        files, new StoredTensor(tensor.name(), StoredType.U8, shape, tensor.begin(), tensor.end()));
  }

  @Override
  public DType dtype() {
    return tensor.type().sameBits().orElse(DType.FLOAT32);
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    if (!tensor.type().decodes()) {
      bytes(row, rows, column, columns, into);
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment stored = arena.allocate(rows * columns * tensor.type().bytes());
      bytes(row, rows, column, columns, stored);
      tensor.type().decode(stored, into);
    }
  }

  private void bytes(long row, long rows, long column, long columns, MemorySegment into) {
    int element = tensor.type().bytes();
    if (columns == this.columns) {
      files.read(tensor, (first + row) * columns * element, into);
      return;
    }
    long bytes = columns * element;
    for (long i = 0; i < rows; i++) {
      long place = (first + row + i) * this.columns + column;
      files.read(tensor, place * element, into.asSlice(i * bytes, bytes));
    }
  }
}
