package panamoe.engine;

/** Computes planned steps. Used by the engine's thread. */
interface StepRunner extends AutoCloseable {
  /**
   * Computes a step.
   *
   * @throws RuntimeException if it fails; whether other steps can be computed then, {@link
   *     #recovers} says
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

  /** Whether steps can be computed after one that failed. */
  default boolean recovers() {
    return true;
  }

  /** Nothing is to be computed for now; called every few seconds. */
  default void idle() {}

  @Override
  void close();
}
