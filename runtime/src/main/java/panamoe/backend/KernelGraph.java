package panamoe.backend;

/**
 * Captured kernel calls on fixed tensors, which {@link #replay} makes again, like a CUDA graph.
 * Used by its backend's thread.
 */
public interface KernelGraph extends AutoCloseable {
  /**
   * Makes the captured calls in order.
   *
   * @throws IllegalStateException if a tensor of a call was freed; earlier calls may have been made
   */
  void replay();

  /** Number of calls. */
  int size();

  /** Frees the backend's graph, which the backend's close does too. Idempotent. */
  @Override
  default void close() {}
}
