package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;
import panamoe.bindings.moe_blocks;
import panamoe.tensor.Tensor;

/**
 * A struct of the C ABI, written for each call: its size, its numbers, then pointers to the
 * descriptors of its tensors, null for a null tensor.
 *
 * @param size of the struct, in bytes
 * @param numbers writes the numbers
 */
record Struct(long size, Consumer<MemorySegment> numbers, Tensor... tensors) {
  private static final int MOST = 4; // structs of one call
  private static final long MOST_BYTES = moe_blocks.sizeof();
  // One per thread, and reused: C has read a call's structs when it returns.
  private static final ThreadLocal<MemorySegment[]> MEMORY =
      ThreadLocal.withInitial(
          () -> {
            MemorySegment[] structs = new MemorySegment[MOST];
            for (int i = 0; i < MOST; i++) {
              structs[i] = Arena.ofAuto().allocate(MOST_BYTES, 8);
            }
            return structs;
          });

  /** A struct without numbers. */
  static Struct of(long size, Tensor... tensors) {
    return new Struct(size, _ -> {}, tensors);
  }

  /** Memory of this thread for the structs of one call, in their order. */
  static MemorySegment[] memory() {
    return MEMORY.get();
  }

  /**
   * Fills {@code memory}, without garbage.
   *
   * @throws IllegalStateException if a tensor is closed
   */
  void write(MemorySegment memory) {
    memory.set(ValueLayout.JAVA_INT, 0, (int) size);
    numbers.accept(memory);
    long at = size - tensors.length * ValueLayout.ADDRESS.byteSize();
    for (Tensor tensor : tensors) {
      MemorySegment descriptor = tensor == null ? MemorySegment.NULL : tensor.descriptor();
      memory.set(ValueLayout.ADDRESS, at, descriptor);
      at += ValueLayout.ADDRESS.byteSize();
    }
  }
}
