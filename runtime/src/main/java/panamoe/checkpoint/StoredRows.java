package panamoe.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
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
    if (type.sameBits().isEmpty() && !type.isFloating() || columns % type.elements() != 0) {
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

  /** The bytes of a tensor, to read them for a checksum. */
  public static StoredRows bytes(TensorFiles files, StoredTensor tensor) {
    long[] shape = {tensor.bytes()};
    return of(
        files, new StoredTensor(tensor.name(), StoredType.U8, shape, tensor.begin(), tensor.end()));
  }

  /** The bytes of a type of one byte, as UINT8. */
  public StoredRows asBytes() {
    StoredTensor bytes =
        new StoredTensor(
            tensor.name(), StoredType.U8, tensor.shape(), tensor.begin(), tensor.end());
    return new StoredRows(files, bytes, first, rows, columns);
  }

  @Override
  public DType dtype() {
    return tensor.type().sameBits().orElse(DType.FLOAT32);
  }

  @Override
  public void read(long row, long rows, long column, long columns, MemorySegment into) {
    if (tensor.type().sameBits().isPresent()) {
      bytes(row, rows, column, columns, into);
      return;
    }
    blocks().decode(row, rows, column, columns, into);
  }

  @Override
  public boolean encoded() {
    return tensor.type().elements() > 1;
  }

  @Override
  public Optional<RowSource> inBlocks() {
    return tensor.type().blocks().map(_ -> blocks());
  }

  private BlockRows blocks() {
    return new BlockRows(tensor.type(), rows, columns, this::bytes);
  }

  /** Reads whole blocks, without decoding. */
  void bytes(long row, long rows, long column, long columns, MemorySegment into) {
    StoredType type = tensor.type();
    long bytes = columns / type.elements() * type.bytes();
    long rowBytes = this.columns / type.elements() * type.bytes();
    long offset = (first + row) * rowBytes + column / type.elements() * type.bytes();
    if (columns == this.columns) {
      files.read(tensor, offset, into);
      return;
    }
    for (long i = 0; i < rows; i++) {
      files.read(tensor, offset + i * rowBytes, into.asSlice(i * bytes, bytes));
    }
  }
}
