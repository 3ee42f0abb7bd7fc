package panamoe.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Allocates the memory of tensors. Implementations are thread-safe. */
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
   * Whether the host can access this memory. If not, only {@link #write}, {@link #read}, {@link
   * #zero}, {@link #copyElements} and kernels may touch it, and Java's access to its segments
   * throws {@link IllegalStateException}.
   */
  default boolean onHost() {
    return true;
  }

  /**
   * Copies {@code host} to this memory, after the kernels called before.
   *
   * @param host native or on the heap; may change once this returns
   * @param memory of an allocated segment, of equal size
   */
  default void write(MemorySegment host, MemorySegment memory) {
    memory.copyFrom(host);
  }

  /**
   * Copies this memory to {@code host}, once the kernels called before are done.
   *
   * @param memory of an allocated segment
   * @param host native or on the heap, of equal size
   */
  default void read(MemorySegment memory, MemorySegment host) {
    host.copyFrom(memory);
  }

  /** Sets all bytes to 0, after the kernels called before. */
  default void zero(MemorySegment memory) {
    memory.fill((byte) 0);
  }

  /** Copies between tensors of this memory, of equal dtype and count, after earlier kernels. */
  default void copyElements(Tensor from, Tensor to) {
    to.data().copyFrom(from.data());
  }

  /**
   * Frees a segment that one of the {@code allocate} methods returned; its arena may be closed
   * already.
   */
  void free(MemorySegment memory);
}
