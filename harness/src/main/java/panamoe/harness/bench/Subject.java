package panamoe.harness.bench;

/**
 * What is measured, with its weights: made once, since drawing and packing gigabytes of weights
 * takes seconds.
 */
public interface Subject extends AutoCloseable {
  /**
   * The work over {@code tokens} tokens a call. To be closed before the next one is made, and
   * before this.
   */
  Workload over(int tokens);

  @Override
  void close();
}
