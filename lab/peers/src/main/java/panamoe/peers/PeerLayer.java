package panamoe.peers;

/** A Mixture-of-Experts layer of another library. Used by one thread. */
interface PeerLayer extends AutoCloseable {
  /**
   * Prepares one batch outside the timed calls. Close the batch before the layer.
   *
   * @param x [T, M], row after row
   */
  Batch over(float[] x);

  @Override
  void close();

  /** One batch of tokens. */
  interface Batch extends AutoCloseable {
    /** Computes the layer's output and discards it. */
    void run();

    /** Computes the layer's output [T, M]. */
    float[] output();

    @Override
    void close();
  }
}
