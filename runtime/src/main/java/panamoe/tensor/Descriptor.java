package panamoe.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.bindings.moe_tensor;

/** Writes the {@code moe_tensor} that the C ABI reads. */
final class Descriptor {
  /** {@code MOE_MAX_RANK} of the ABI. */
  static final int MAX_RANK = 4;

  private Descriptor() {}

  static MemorySegment write(Arena arena, DType dtype, long[] shape, boolean packed, MemorySegment data) {
    requireRank(shape);
    MemorySegment descriptor = moe_tensor.allocate(arena);
    moe_tensor.struct_size(descriptor, (int) moe_tensor.sizeof());
    moe_tensor.dtype(descriptor, dtype.code());
    moe_tensor.data(descriptor, data);
    moe_tensor.bytes(descriptor, data.byteSize());
    moe_tensor.rank(descriptor, shape.length);
    moe_tensor.layout(descriptor, packed ? 1 : 0);
    for (int axis = 0; axis < shape.length; axis++) {
      moe_tensor.shape(descriptor, axis, shape[axis]);
    }
    return descriptor;
  }

  static void requireRank(long[] shape) {
    if (shape.length > MAX_RANK) {
      throw new IllegalArgumentException("rank " + shape.length + " is more than " + MAX_RANK);
    }
  }
}
