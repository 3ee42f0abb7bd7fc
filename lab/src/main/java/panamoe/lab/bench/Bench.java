package panamoe.lab.bench;

/**
 * A benchmark with its weights. Cells of all token counts share them, because initialising and
 * packing gigabytes takes seconds.
 */
public interface Bench extends AutoCloseable {
  /**
   * The work with {@code tokens} tokens per call. Close it before the next one and before this
   * benchmark.
   */
  Workload over(int tokens);

  /** The work with {@code tokens} tokens in each of {@code texts} sequences. */
  default Workload over(int tokens, int texts) {
    return over(tokens);
  }

  @Override
  default void close() {}
}
