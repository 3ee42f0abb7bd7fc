package panamoe.tensor;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A contiguous row-major array on one device, or a packed GEMM operand.
 *
 * <p>Its memory belongs to a {@link TensorScope}: once that is closed, or the tensor released,
 * every use throws {@link IllegalStateException}. A view ({@link #reshape}, {@link #rows}) shares
 * its owner's memory and lifetime. Reading and writing elements is for tests, tables and small
 * data; kernels do the work. Not synchronised: tensors of a confined scope are used by one thread,
 * those of a shared scope by any.
 */
public final class Tensor implements Elements {
  private final DType dtype;
  private final long[] shape;
  private final boolean packed;
  private final MemorySegment data;
  private final MemorySegment descriptor;
  private final Tensor owner;
  private final TensorScope scope;
  private final boolean borrowed;
  private boolean released;

  /** Memory belongs to the scope, or to a caller if {@code borrowed}. */
  Tensor(
      TensorScope scope,
      DType dtype,
      long[] shape,
      boolean packed,
      MemorySegment data,
      boolean borrowed) {
    this(scope, dtype, shape, packed, data, borrowed, null);
  }

  private Tensor view(long[] shape, MemorySegment data) {
    return new Tensor(scope, dtype, shape, packed, data, borrowed, owner);
  }

  private Tensor(
      TensorScope scope,
      DType dtype,
      long[] shape,
      boolean packed,
      MemorySegment data,
      boolean borrowed,
      Tensor owner) {
    this.scope = scope;
    this.borrowed = borrowed;
    this.dtype = dtype;
    this.shape = shape;
    this.packed = packed;
    this.data = data;
    this.owner = owner == null ? this : owner;
    this.descriptor = Descriptor.write(scope.arena(), dtype, shape, packed, data);
  }

  @Override
  public DType dtype() {
    return dtype;
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

  /** Number of elements. */
  public long count() {
    return count(shape);
  }

  /** Whether this is a packed GEMM operand, whose bytes only its backend can read. */
  public boolean packed() {
    return packed;
  }

  /** Bytes of the elements ({@code count * dtype.bytes()}), or of the packed operand. */
  @Override
  public long bytes() {
    return data.byteSize();
  }

  /** The tensor that owns the memory: itself, unless it is a view. */
  public Tensor owner() {
    return owner;
  }

  /**
   * The elements' memory, once the kernels that may still write it are done.
   *
   * @throws IllegalStateException if the tensor was released or its scope closed
   */
  public MemorySegment data() {
    requireAlive();
    scope.awaitHostAccess();
    return data;
  }

  @Override
  public void readBy(Reader reader) throws IOException {
    reader.read(data());
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

  /** The same elements under another shape of equal count. */
  public Tensor reshape(long... newShape) {
    requireAlive();
    if (packed || count(newShape) != count()) {
      throw new IllegalArgumentException(
          "cannot reshape " + this + " to " + Arrays.toString(newShape));
    }
    return view(newShape.clone(), data);
  }

  /** Rows {@code from} (inclusive) to {@code to} (exclusive) of the first dimension. */
  public Tensor rows(long from, long to) {
    requireAlive();
    if (packed || shape.length == 0 || from < 0 || to < from || to > shape[0]) {
      throw new IllegalArgumentException("rows " + from + " to " + to + " of " + this);
    }
    long[] part = shape.clone();
    long rowBytes = shape[0] == 0 ? 0 : data.byteSize() / shape[0];
    part[0] = to - from;
    return view(part, data.asSlice(from * rowBytes, (to - from) * rowBytes));
  }

  /**
   * A packed part of this packed operand. Its backend knows where it lies.
   *
   * @param from the first byte of the part
   * @param to the byte after its last one
   * @param partShape of the part
   */
  public Tensor packedPart(long from, long to, long... partShape) {
    requireAlive();
    if (!packed || from < 0 || to < from || to > data.byteSize()) {
      throw new IllegalArgumentException("packed bytes " + from + " to " + to + " of " + this);
    }
    return view(partShape.clone(), data.asSlice(from, to - from));
  }

  /** Element {@code index} in row-major order, as a float: rounded if this is FLOAT64. */
  public float getFloat(long index) {
    return switch (dtype) {
      case FLOAT32 -> data().getAtIndex(ValueLayout.JAVA_FLOAT, index);
      case BFLOAT16 -> BFloat16.toFloat(data().getAtIndex(ValueLayout.JAVA_SHORT, index));
      case INT32 -> data().getAtIndex(ValueLayout.JAVA_INT, index);
      case UINT8 -> data().get(ValueLayout.JAVA_BYTE, index) & 0xff;
      case INT8 -> data().get(ValueLayout.JAVA_BYTE, index);
      case FLOAT64 -> (float) data().getAtIndex(ValueLayout.JAVA_DOUBLE, index);
    };
  }

  /** Sets element {@code index}, rounding to the dtype (bfloat16: to nearest even). */
  public void setFloat(long index, float value) {
    switch (dtype) {
      case FLOAT32 -> data().setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
      case BFLOAT16 -> data().setAtIndex(ValueLayout.JAVA_SHORT, index, BFloat16.fromFloat(value));
      case INT32 -> data().setAtIndex(ValueLayout.JAVA_INT, index, (int) value);
      case UINT8, INT8 -> data().set(ValueLayout.JAVA_BYTE, index, (byte) value);
      case FLOAT64 -> data().setAtIndex(ValueLayout.JAVA_DOUBLE, index, value);
    }
  }

  /** Element {@code index} of a FLOAT64 tensor. */
  public double getDouble(long index) {
    require(DType.FLOAT64);
    return data().getAtIndex(ValueLayout.JAVA_DOUBLE, index);
  }

  /** Sets element {@code index} of a FLOAT64 tensor. */
  public void setDouble(long index, double value) {
    require(DType.FLOAT64);
    data().setAtIndex(ValueLayout.JAVA_DOUBLE, index, value);
  }

  /** Element {@code index} of an INT32 tensor. */
  public int getInt(long index) {
    require(DType.INT32);
    return data().getAtIndex(ValueLayout.JAVA_INT, index);
  }

  /** Sets element {@code index} of an INT32 tensor. */
  public void setInt(long index, int value) {
    require(DType.INT32);
    data().setAtIndex(ValueLayout.JAVA_INT, index, value);
  }

  /** All elements, widened to float. */
  public float[] toFloats() {
    float[] values = new float[Math.toIntExact(count())];
    if (dtype == DType.FLOAT32) {
      MemorySegment.copy(data(), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
    } else {
      for (int i = 0; i < values.length; i++) {
        values[i] = getFloat(i);
      }
    }
    return values;
  }

  /** All elements of an INT32 tensor. */
  public int[] toInts() {
    require(DType.INT32);
    int[] values = new int[Math.toIntExact(count())];
    MemorySegment.copy(data(), ValueLayout.JAVA_INT, 0, values, 0, values.length);
    return values;
  }

  /** Sets all elements of a FLOAT32 or BFLOAT16 tensor. */
  public Tensor set(float... values) {
    requireCount(values.length);
    for (int i = 0; i < values.length; i++) {
      setFloat(i, values[i]);
    }
    return this;
  }

  /** Sets all elements of an INT32 tensor. */
  public Tensor set(int... values) {
    require(DType.INT32);
    requireCount(values.length);
    MemorySegment.copy(values, 0, data(), ValueLayout.JAVA_INT, 0, values.length);
    return this;
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
    return dtype + Arrays.toString(shape) + (packed ? " packed" : "");
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

  /** The number of bytes of a shape's elements; throws as {@link #count} does. */
  static long bytes(DType dtype, long... shape) {
    return multiply(count(shape), dtype.bytes(), shape);
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

  private void require(DType expected) {
    if (dtype != expected) {
      throw new IllegalArgumentException("expected " + expected + ", but this is " + this);
    }
  }

  private void requireCount(int given) {
    if (given != count()) {
      throw new IllegalArgumentException(given + " values given for " + this);
    }
  }
}
