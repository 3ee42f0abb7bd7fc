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

  /**
   * The experts that a row of the latest step went to.
   *
   * @param rank the data rank
   * @param row of its rows
   */
  TokenRoutes routes(int rank, int row);

  /** Adds the latest step's routes to each expert, as far as they are known here, by MoE layer. */
  void addLoads(long[][] counts);

  /** Nothing is to be computed for now; called every few seconds. */
  default void idle() {}

  @Override
  void close();
}
