package panamoe.engine;

/** Computes planned steps. Used by the engine's thread. */
interface StepRunner extends AutoCloseable {
  /**
   * Computes a step.
   *
   * @throws RuntimeException if it fails; other steps can be computed then
   */
  void run(StepPlan plan);

  /**
   * Copies logits of the latest step.
   *
   * @param rank the data rank
   * @param wanted which of its wanted rows
   * @param into [V]
   */
  void logits(int rank, int wanted, float[] into);

  /** Nothing is to be computed for now; called every few seconds. */
  default void idle() {}

  @Override
  void close();
}
