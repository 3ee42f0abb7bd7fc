package panamoe.engine.schedule;

import java.util.List;
import panamoe.backend.Backend;
import panamoe.engine.EngineConfig;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RoutedLayer;
import panamoe.tensor.Tensor;

/** Computes planned steps. Used by the engine's thread. */
interface StepRunner extends AutoCloseable {
  /** In place of a start token: a text goes on with its prompt. */
  int GOES_ON = -1;

  /**
   * Computes a step.
   *
   * @throws RuntimeException if it fails; whether other steps can be computed then, {@link
   *     #recovers} says
   */
  void run(StepPlan plan);

  /** The backend that computes steps. */
  Backend backend();

  /**
   * The logits FLOAT32 [wanted rows of all data ranks, V] of the latest step, valid until the next
   * one. The caller may change them.
   */
  Tensor logits();

  /**
   * Which row of {@link #logits} a wanted row has.
   *
   * @param rank the data rank
   * @param wanted which of its wanted rows
   */
  default int row(int rank, int wanted) {
    return wanted;
  }

  /**
   * The window of layers whose keys and values have blocks of their own, which {@link
   * EngineConfig#windowBlocks} counts; 0: there are none.
   */
  default int window() {
    return 0;
  }

  /**
   * The token that begins a text whose prompt an encoder reads, at {@link StepRows#encode}; {@link
   * #GOES_ON} without an encoder.
   */
  default int startToken() {
    return GOES_ON;
  }

  /** The MoE layers of the model. */
  default List<RoutedLayer> layers() {
    return List.of();
  }

  /**
   * Copies routes of the latest step, if its rows were {@link StepRows#tellsRoutes}.
   *
   * @param rank the data rank
   * @param row of the step on that rank
   * @param into as {@link RouteLayout} says
   */
  default void routes(int rank, int row, float[] into) {}

  /** The routes of all rows that were computed so far, those that were computed again as well. */
  default RouteStatistics statistics() {
    return RouteStatistics.NONE;
  }

  /** Whether steps can be computed after one that failed. */
  default boolean recovers() {
    return true;
  }

  /**
   * The first layer whose output is not finite for the first {@code count} of {@code tokens}; -1 if
   * every one is finite, or this runner cannot tell.
   *
   * @param topK experts of a row in each MoE layer; null: as many as gates choose
   */
  default int firstNonFiniteLayer(int[] tokens, int count, int[] topK) {
    return -1;
  }

  /** Nothing is to be computed for now; called every few seconds. */
  default void idle() {}

  @Override
  void close();
}
