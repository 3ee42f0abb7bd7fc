package panamoe.tensor;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;

/**
 * Writes the {@code moe_tensor} of the C ABI. It repeats the layout of the bindings because these
 * need native access, and the reference backend must not.
 */
final class Descriptor {
  /** {@code MOE_MAX_RANK} of the ABI. */
  static final int MAX_RANK = 4;

  static final StructLayout LAYOUT =
      MemoryLayout.structLayout(
          ValueLayout.JAVA_INT.withName("struct_size"),
          ValueLayout.JAVA_INT.withName("dtype"),
          ValueLayout.ADDRESS.withName("data"),
          ValueLayout.JAVA_LONG.withName("bytes"),
          ValueLayout.JAVA_INT.withName("rank"),
          ValueLayout.JAVA_INT.withName("layout"),
          MemoryLayout.sequenceLayout(MAX_RANK, ValueLayout.JAVA_LONG).withName("shape"));

  private static final long STRUCT_SIZE = offset("struct_size");
  private static final long DTYPE = offset("dtype");
  private static final long DATA = offset("data");
  private static final long BYTES = offset("bytes");
  private static final long RANK = offset("rank");
  private static final long LAYOUT_CODE = offset("layout");
  private static final long SHAPE = offset("shape");

  private Descriptor() {}

  static MemorySegment write(
      MemorySegment descriptor, DType dtype, long[] shape, Layout layout, MemorySegment data) {
    requireRank(shape);
    descriptor.set(ValueLayout.JAVA_INT, STRUCT_SIZE, (int) LAYOUT.byteSize());
    descriptor.set(ValueLayout.JAVA_INT, DTYPE, dtype.code());
    descriptor.set(ValueLayout.ADDRESS, DATA, data);
    descriptor.set(ValueLayout.JAVA_LONG, BYTES, data.byteSize());
    descriptor.set(ValueLayout.JAVA_INT, RANK, shape.length);
    descriptor.set(ValueLayout.JAVA_INT, LAYOUT_CODE, layout.ordinal());
    MemorySegment.copy(shape, 0, descriptor, ValueLayout.JAVA_LONG, SHAPE, shape.length);
    return descriptor;
  }

  private static long offset(String field) {
    return LAYOUT.byteOffset(PathElement.groupElement(field));
  }

  static void requireRank(long[] shape) {
    if (shape.length > MAX_RANK) {
      throw new IllegalArgumentException("rank " + shape.length + " is more than " + MAX_RANK);
    }
  }
}
