package panamoe.tensor;

import java.lang.foreign.MemorySegment;

/** Where tensors get their memory. Implementations are thread-safe. */
public interface TensorMemory {

  /**
   * Memory of at least {@code bytes}, aligned to 64 bytes, contents undefined, not bound to any arena.
   *
   * @throws OutOfMemoryError if the device has none left; the message says how much was asked for
   */
  MemorySegment allocate(long bytes);

  /** Waits until the host may touch the memory: until no kernel that was given to the device can change it any more. */
  default void awaitHostAccess() {}

  /** Gives back what {@link #allocate} returned. */
  void free(MemorySegment memory);
}
