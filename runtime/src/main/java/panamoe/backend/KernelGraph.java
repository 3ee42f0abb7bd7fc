package panamoe.backend;

/**
 * Kernel calls with their tensors, bound once and replayed as they are. Used by its backend's
 * thread.
 */
public interface KernelGraph extends AutoCloseable {
  /**
   * Makes the recorded calls in order.
   *
   * @throws IllegalStateException if a tensor was freed since; calls before the first one on it may
   *     have been made
   */
  void replay();

  /** Number of calls. */
  int size();

  /** Gives back what the backend keeps for it. Idempotent; a backend's close does the same. */
  @Override
  default void close() {}
}
