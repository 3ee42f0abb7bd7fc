package panamoe.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Where tensors get their memory. Implementations are thread-safe. */
public interface TensorMemory {

  /**
   * Allocates at least {@code bytes} bytes, aligned to 64 bytes, with undefined contents and not
   * bound to an arena.
   *
   * @throws OutOfMemoryError if the device has no memory left; the message names the size
   */
  MemorySegment allocate(long bytes);

  /**
   * Like {@link #allocate(long)}, but the JVM refuses every access to the segment once {@code
   * arena} is closed. Closing it does not free the memory: the owner closes the arena first, then
   * calls {@link #free}. Implementations on the garbage-collected heap may ignore the arena.
   */
  default MemorySegment allocate(long bytes, Arena arena) {
    return allocate(bytes);
  }

  /**
   * Waits until all kernels given to the device are done, so that the host may access the memory.
   */
  default void awaitHostAccess() {}

  /**
   * Frees a segment that one of the {@code allocate} methods returned; its arena may be closed
   * already.
   */
  void free(MemorySegment memory);
}
