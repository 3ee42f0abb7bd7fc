package panamoe.lab.bench;

/**
 * The weights of a measurement. They are kept for all token counts, because drawing and packing
 * gigabytes takes seconds.
 */
public interface Subject extends AutoCloseable {
  /**
   * The work with {@code tokens} tokens per call. Close it before creating the next one and before
   * closing this subject.
   */
  Workload over(int tokens);

  /** A workload of {@code tokens} tokens of each of {@code texts} texts. */
  default Workload over(int tokens, int texts) {
    return over(tokens);
  }

  @Override
  default void close() {}
}
