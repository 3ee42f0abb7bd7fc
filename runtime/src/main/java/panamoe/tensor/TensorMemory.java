package panamoe.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Where tensors get their memory. Implementations are thread-safe. */
public interface TensorMemory {

  /**
   * Memory of at least {@code bytes}, aligned to 64 bytes, contents undefined, not bound to any
   * arena.
   *
   * @throws OutOfMemoryError if the device has none left; the message says how much was asked for
   */
  MemorySegment allocate(long bytes);

  /**
   * As {@link #allocate(long)}, and the JVM refuses every access to the segment once {@code arena}
   * is closed. That frees nothing: whoever hands the segment out closes the arena first and frees
   * the memory then. Memory that the garbage collector frees may ignore the arena.
   */
  default MemorySegment allocate(long bytes, Arena arena) {
    return allocate(bytes);
  }

  /**
   * Waits until the host may touch the memory: until no kernel that was given to the device can
   * change it any more.
   */
  default void awaitHostAccess() {}

  /**
   * Gives back what one of the {@code allocate} methods returned; its arena may be closed already.
   */
  void free(MemorySegment memory);
}
