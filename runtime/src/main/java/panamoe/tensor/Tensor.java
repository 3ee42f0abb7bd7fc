package panamoe.tensor;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import panamoe.io.Require;

/**
 * A contiguous row-major array on one device, or a packed GEMM operand.
 *
 * <p>Its memory belongs to a {@link TensorScope}: once the scope is closed, or the tensor released,
 * every use throws {@link IllegalStateException}. A view ({@link #reshape}, {@link #rows}) shares
 * its owner's memory and lifetime. Kernels do the work; the host copies elements ({@link
 * HostElements}) or takes a {@link HostView}. Not synchronised: tensors of a confined scope are
 * used by one thread, those of a shared scope by any.
 */
public final class Tensor implements HostElements {
  private final DType dtype;
  private final long[] shape;
  private final Layout layout;
  private final MemorySegment data;
  private final MemorySegment descriptor;
  private final Tensor owner;
  private final TensorScope scope;
  private final boolean borrowed;
  private final List<Tensor> matrices;
  private boolean released;

  /** Memory belongs to the scope, or to a caller if {@code borrowed}. */
  Tensor(
      TensorScope scope,
      DType dtype,
      long[] shape,
      Layout layout,
      MemorySegment data,
      boolean borrowed) {
    this(scope, dtype, shape, layout, data, borrowed, null, List.of());
  }

  /** A stack of packed matrices of one shape, described in {@code table}. */
  Tensor(TensorScope scope, long[] shape, MemorySegment table, List<Tensor> matrices) {
    this(
        scope,
        matrices.getFirst().dtype,
        shape,
        Layout.PACKED_EACH,
        table,
        false,
        null,
        List.copyOf(matrices));
  }

  private Tensor view(DType dtype, long[] shape, Layout layout, MemorySegment data) {
    return new Tensor(scope, dtype, shape, layout, data, borrowed, owner, List.of());
  }

  private Tensor(
      TensorScope scope,
      DType dtype,
      long[] shape,
      Layout layout,
      MemorySegment data,
      boolean borrowed,
      Tensor owner,
      List<Tensor> matrices) {
    this.scope = scope;
    this.borrowed = borrowed;
    this.dtype = dtype;
    this.shape = shape;
    this.layout = layout;
    this.data = data;
    this.owner = owner == null ? this : owner;
    this.matrices = matrices;
    this.descriptor = Descriptor.write(scope.descriptor(), dtype, shape, layout, data);
  }

  /** The first matrix's, for a stack of {@link #matrices}. */
  @Override
  public DType dtype() {
    return dtype;
  }

  /**
   * The matrices [N, K] of a stack [E, N, K] that are packed one by one, in dtypes of their own;
   * empty for every other tensor.
   */
  public List<Tensor> matrices() {
    return matrices;
  }

  @Override
  public long[] shape() {
    return shape.clone();
  }

  public int rank() {
    return shape.length;
  }

  /** Size of dimension {@code axis}; a negative axis counts from the last. */
  public long size(int axis) {
    return shape[axis < 0 ? shape.length + axis : axis];
  }

  @Override
  public long count() {
    return count(shape);
  }

  /** Whether this is a packed GEMM operand, whose bytes only its backend can read. */
  public boolean packed() {
    return layout != Layout.ROW_MAJOR;
  }

  /**
   * Whether rows that are multiplied by this operand's blocks are not rounded. Otherwise a CPU
   * rounds them to int8.
   */
  public boolean exact() {
    return layout == Layout.PACKED_EXACT;
  }

  /** Bytes of the elements or blocks, or of the packed operand. */
  @Override
  public long bytes() {
    return matrices.isEmpty() ? data.byteSize() : matrices.stream().mapToLong(Tensor::bytes).sum();
  }

  /** The tensor that owns the memory: itself, unless it is a view. */
  public Tensor owner() {
    return owner;
  }

  @Override
  public boolean onHost() {
    return borrowed || scope.memory().onHost();
  }

  @Override
  public MemorySegment data() {
    requireAlive();
    if (!onHost()) {
      throw new UnsupportedOperationException(
          this
              + " is in a GPU's memory, which the host cannot access: use copyTo, copyFrom or a"
              + " HostView");
    }
    return data;
  }

  /**
   * Address and size of the elements, for other libraries. Access by Java throws {@link
   * IllegalStateException} unless the tensor is {@link #onHost}.
   */
  public MemorySegment address() {
    requireAlive();
    return data;
  }

  /** Sets all elements to those of a tensor of equal dtype and count in the same memory. */
  public Tensor copyFrom(Tensor other) {
    scope.memory().copyElements(other, this);
    return this;
  }

  @Override
  public void copyTo(long from, MemorySegment host) {
    requireAlive();
    if (onHost()) {
      host.copyFrom(data.asSlice(from, host.byteSize()));
    } else {
      scope.memory().read(data.asSlice(from, host.byteSize()), host);
    }
  }

  @Override
  public Tensor copyFrom(long from, MemorySegment host) {
    requireAlive();
    if (onHost()) {
      data.asSlice(from, host.byteSize()).copyFrom(host);
    } else {
      scope.memory().write(host, data.asSlice(from, host.byteSize()));
    }
    return this;
  }

  void zero() {
    scope.memory().zero(data);
  }

  /**
   * The {@code moe_tensor} of the C ABI that describes this tensor, with the lifetime of {@link
   * #data}.
   */
  public MemorySegment descriptor() {
    requireAlive();
    return descriptor;
  }

  /**
   * A caller's memory that a kernel call must keep alive besides {@link #descriptor}, because
   * another thread may close its arena; null if the memory belongs to the scope.
   */
  public MemorySegment borrowedMemory() {
    return borrowed ? data : null;
  }

  /** A view with another shape of equal count. */
  public Tensor reshape(long... newShape) {
    requireAlive();
    if (packed() || count(newShape) != count() || bytes(dtype, newShape) != data.byteSize()) {
      throw new IllegalArgumentException(
          "cannot reshape " + this + " to " + Arrays.toString(newShape));
    }
    return view(dtype, newShape.clone(), layout, data);
  }

  /** Rows {@code from} (inclusive) to {@code to} (exclusive) of the first dimension. */
  public Tensor rows(long from, long to) {
    requireAlive();
    if (packed() || shape.length == 0 || from < 0 || to < from || to > shape[0]) {
      throw new IllegalArgumentException("rows " + from + " to " + to + " of " + this);
    }
    long[] part = shape.clone();
    part[0] = 1;
    long rowBytes = bytes(dtype, part);
    part[0] = to - from;
    return view(dtype, part, layout, data.asSlice(from * rowBytes, (to - from) * rowBytes));
  }

  /**
   * A part of this packed operand, at an offset that its backend knows.
   *
   * @param from the first byte of the part
   * @param to the byte after its last one
   * @param partShape of the part
   */
  public Tensor packedPart(long from, long to, long... partShape) {
    requireAlive();
    if (!packed() || !matrices.isEmpty() || from < 0 || to < from || to > data.byteSize()) {
      throw new IllegalArgumentException("packed bytes " + from + " to " + to + " of " + this);
    }
    return view(dtype, partShape.clone(), layout, data.asSlice(from, to - from));
  }

  /**
   * A view of this packed operand whose {@link #exact} is true.
   *
   * @throws IllegalArgumentException if this is not packed as a whole
   */
  public Tensor asExact() {
    requireAlive();
    if (!packed() || !matrices.isEmpty()) {
      throw new IllegalArgumentException(this + " is not packed as a whole");
    }
    return view(dtype, shape, Layout.PACKED_EXACT, data);
  }

  /**
   * A view of some bytes as elements of another type, so that one tensor can hold several.
   *
   * @param from the first byte, a multiple of the dtype's bytes
   */
  public Tensor part(long from, DType type, long... partShape) {
    requireAlive();
    if (packed() || from % alignment(type) != 0) {
      throw new IllegalArgumentException(type + " from byte " + from + " of " + this);
    }
    MemorySegment part = data.asSlice(from, bytes(type, partShape));
    return view(type, partShape.clone(), Layout.ROW_MAJOR, part);
  }

  /**
   * Frees the memory before the scope closes. Its views must not be used any more. A second call
   * and a call on a view do nothing.
   */
  public void release() {
    if (owner == this && !released) {
      released = true;
      scope.release(this);
    }
  }

  @Override
  public String toString() {
    return dtype + Arrays.toString(shape) + (packed() ? " packed" : "");
  }

  /**
   * The number of elements of a shape.
   *
   * @throws IllegalArgumentException if a size is negative or the number of elements overflows a
   *     long
   */
  public static long count(long... shape) {
    long count = 1;
    for (long size : shape) {
      if (size < 0) {
        throw new IllegalArgumentException("negative size in shape " + Arrays.toString(shape));
      }
      count = multiply(count, size, shape);
    }
    return count;
  }

  /**
   * The number of bytes of a shape's elements; throws like {@link #count}, and if rows are not
   * whole blocks.
   */
  static long bytes(DType dtype, long... shape) {
    long count = count(shape);
    long row = shape.length == 0 ? 1 : shape[shape.length - 1];
    if (row % dtype.blockElements() != 0) {
      throw Require.refusal(
          "rows of shape %s are no whole blocks of %s, as %s holds",
          Arrays.toString(shape), dtype.blockElements(), dtype);
    }
    return multiply(count / dtype.blockElements(), dtype.blockBytes(), shape);
  }

  /** The alignment of a dtype's elements in bytes. */
  static int alignment(DType dtype) {
    return dtype.isBlocks() ? 1 : dtype.bytes();
  }

  private static long multiply(long count, long size, long[] shape) {
    if (Math.multiplyHigh(count, size) != 0 || count * size < 0) {
      throw new IllegalArgumentException(
          "shape " + Arrays.toString(shape) + " is larger than any memory");
    }
    return count * size;
  }

  private void requireAlive() {
    if (owner.released || scope.isClosed()) {
      throw new IllegalStateException("tensor " + this + " was already freed");
    }
  }
}
