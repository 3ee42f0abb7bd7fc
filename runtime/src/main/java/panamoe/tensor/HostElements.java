package panamoe.tensor;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import java.util.function.Consumer;

/**
 * Copies of a tensor's elements on the host. On a GPU each method waits for kernels and is one
 * transfer, even for a single element ({@link #getFloat}); {@link #readBy} and {@link #writeBy}
 * transfer pieces.
 */
public sealed interface HostElements extends Elements permits Tensor {
  /** Number of elements. */
  long count();

  /** Whether the host can access the elements in place, by {@link #data}. */
  boolean onHost();

  /**
   * The elements' memory.
   *
   * @throws IllegalStateException if the tensor was released or its scope closed
   * @throws UnsupportedOperationException unless it is {@link #onHost}
   */
  MemorySegment data();

  /**
   * Copies {@code host.byteSize()} bytes from byte {@code from} on to the host, once the kernels
   * that write them are done.
   *
   * @param host native or on the heap
   */
  void copyTo(long from, MemorySegment host);

  /**
   * Sets {@code host.byteSize()} bytes from byte {@code from} on, for kernels that are called
   * later.
   *
   * @param host native or on the heap; may change afterwards
   */
  Tensor copyFrom(long from, MemorySegment host);

  /**
   * Copies all elements to the host.
   *
   * @param host {@link #bytes} long
   */
  default void copyTo(MemorySegment host) {
    requireBytes(host);
    copyTo(0, host);
  }

  /**
   * Sets all elements.
   *
   * @param host {@link #bytes} long
   */
  default Tensor copyFrom(MemorySegment host) {
    requireBytes(host);
    return copyFrom(0, host);
  }

  @Override
  default void readBy(Reader reader) throws IOException {
    if (onHost()) {
      reader.read(data());
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment room = roomForPieces(arena);
      for (long from = 0; from < bytes(); from += room.byteSize()) {
        MemorySegment piece = piece(from, room);
        copyTo(from, piece);
        reader.read(piece);
      }
    }
  }

  /**
   * Sets all elements, in one or more pieces from the first byte to the last.
   *
   * @param writer fills each piece
   */
  default void writeBy(Consumer<MemorySegment> writer) {
    if (onHost()) {
      writer.accept(data());
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment room = roomForPieces(arena);
      for (long from = 0; from < bytes(); from += room.byteSize()) {
        MemorySegment piece = piece(from, room);
        writer.accept(piece);
        copyFrom(from, piece);
      }
    }
  }

  /** Element {@code index} in row-major order, as a float: rounded if this is FLOAT64. */
  default float getFloat(long index) {
    return onHost() ? Element.get(dtype(), data(), index) : Element.get(dtype(), element(index), 0);
  }

  /** Sets element {@code index}, rounding to the dtype (bfloat16: to nearest even). */
  default void setFloat(long index, float value) {
    if (onHost()) {
      Element.set(dtype(), data(), index, value);
    } else {
      MemorySegment one = room(Long.BYTES);
      Element.set(dtype(), one, 0, value);
      setElement(index, one);
    }
  }

  /** Element {@code index} of a FLOAT64 tensor. */
  default double getDouble(long index) {
    require(DType.FLOAT64);
    return onHost()
        ? data().getAtIndex(ValueLayout.JAVA_DOUBLE, index)
        : element(index).get(ValueLayout.JAVA_DOUBLE, 0);
  }

  /** Sets element {@code index} of a FLOAT64 tensor. */
  default void setDouble(long index, double value) {
    require(DType.FLOAT64);
    if (onHost()) {
      data().setAtIndex(ValueLayout.JAVA_DOUBLE, index, value);
    } else {
      setElement(index, MemorySegment.ofArray(new long[] {Double.doubleToRawLongBits(value)}));
    }
  }

  /** Element {@code index} of an INT32 tensor. */
  default int getInt(long index) {
    require(DType.INT32);
    return onHost()
        ? data().getAtIndex(ValueLayout.JAVA_INT, index)
        : element(index).get(ValueLayout.JAVA_INT, 0);
  }

  /** Sets element {@code index} of an INT32 tensor. */
  default void setInt(long index, int value) {
    require(DType.INT32);
    if (onHost()) {
      data().setAtIndex(ValueLayout.JAVA_INT, index, value);
    } else {
      setElement(index, MemorySegment.ofArray(new long[] {value}));
    }
  }

  /** All elements, widened to float. */
  default float[] toFloats() {
    float[] values = new float[Math.toIntExact(count())];
    if (dtype() == DType.FLOAT32) {
      copyTo(0, MemorySegment.ofArray(values));
    } else {
      MemorySegment elements = onHost() ? data() : room(bytes());
      if (!onHost()) {
        copyTo(0, elements);
      }
      for (int i = 0; i < values.length; i++) {
        values[i] = Element.get(dtype(), elements, i);
      }
    }
    return values;
  }

  /** The sum of all elements, added in order. */
  default double sum() {
    double sum = 0;
    for (float value : toFloats()) {
      sum += value;
    }
    return sum;
  }

  /** All elements of an INT32 tensor. */
  default int[] toInts() {
    require(DType.INT32);
    int[] values = new int[Math.toIntExact(count())];
    copyTo(0, MemorySegment.ofArray(values));
    return values;
  }

  /** Sets all elements of a FLOAT32 or BFLOAT16 tensor. */
  default Tensor set(float... values) {
    requireCount(values.length);
    if (dtype() == DType.FLOAT32) {
      return copyFrom(0, MemorySegment.ofArray(values));
    }
    MemorySegment elements = room(bytes());
    for (int i = 0; i < values.length; i++) {
      Element.set(dtype(), elements, i, values[i]);
    }
    return copyFrom(0, elements);
  }

  /** Sets all elements of an INT32 tensor. */
  default Tensor set(int... values) {
    require(DType.INT32);
    requireCount(values.length);
    return copyFrom(0, MemorySegment.ofArray(values));
  }

  /** A copy of one element at the start of 8 bytes. */
  private MemorySegment element(long index) {
    MemorySegment one = room(Long.BYTES);
    copyTo(place(index), one.asSlice(0, dtype().bytes()));
    return one;
  }

  private void setElement(long index, MemorySegment one) {
    copyFrom(place(index), one.asSlice(0, dtype().bytes()));
  }

  private long place(long index) {
    return Objects.checkIndex(index, count()) * dtype().bytes();
  }

  /** Bytes on the heap, aligned for every dtype. */
  private static MemorySegment room(long bytes) {
    long[] longs = new long[Math.toIntExact(Math.ceilDiv(bytes, Long.BYTES))];
    return MemorySegment.ofArray(longs).asSlice(0, bytes);
  }

  /** A native buffer for transfers in pieces, which bounds the host's memory. */
  private MemorySegment roomForPieces(Arena arena) {
    return arena.allocate(Math.min(4 << 20, bytes()), 64);
  }

  private MemorySegment piece(long from, MemorySegment room) {
    return room.asSlice(0, Math.min(room.byteSize(), bytes() - from));
  }

  private void require(DType expected) {
    if (dtype() != expected) {
      throw new IllegalArgumentException("expected " + expected + ", but this is " + this);
    }
  }

  private void requireBytes(MemorySegment host) {
    if (host.byteSize() != bytes()) {
      throw new IllegalArgumentException(
          host.byteSize() + " bytes given for " + this + ", expected " + bytes());
    }
  }

  private void requireCount(int given) {
    if (given != count()) {
      throw new IllegalArgumentException(given + " values given for " + this);
    }
  }
}
