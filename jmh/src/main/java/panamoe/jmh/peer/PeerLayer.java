package panamoe.jmh.peer;

/** A Mixture-of-Experts layer as another library runs it. Used by one thread. */
interface PeerLayer extends AutoCloseable {
  /**
   * The layer over one batch, made ready outside of what is timed. To be closed before the layer.
   *
   * @param x [T, M], row after row
   */
  Batch over(float[] x);

  @Override
  void close();

  /** One batch of tokens. */
  interface Batch extends AutoCloseable {
    /** Computes the layer's output and forgets it. */
    void run();

    /** Computes the layer's output [T, M]. */
    float[] output();

    @Override
    void close();
  }
}
