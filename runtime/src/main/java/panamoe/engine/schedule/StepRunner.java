package panamoe.engine.schedule;

import java.util.List;
import panamoe.backend.Backend;
import panamoe.engine.EngineConfig;
import panamoe.engine.routes.RouteLayout;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.routes.RoutedLayer;
import panamoe.op.NotFinite;
import panamoe.tensor.Tensor;

/** Computes planned steps. Used by the engine's thread. */
interface StepRunner extends AutoCloseable {
  /** The start token of a model without an encoder, which continues the prompt. */
  int GOES_ON = -1;

  /**
   * Computes a step.
   *
   * @throws RuntimeException if it fails; {@link #recovers} then returns whether further steps can
   *     be computed
   */
  void run(StepPlan plan);

  /**
   * Refuses a completion.
   *
   * @throws IllegalArgumentException if the model has no logits of the next token
   */
  default void requireGeneration() {}

  /** The backend that computes steps. */
  Backend backend();

  /**
   * The logits FLOAT32 [wanted rows of all data ranks, V], or the final hidden states [.., M] for
   * {@link StepRows#hidden}. Valid until the next step. The caller may change them.
   */
  Tensor output();

  /**
   * The row of {@link #output} of a wanted row.
   *
   * @param rank the data rank
   * @param wanted index among its wanted rows
   */
  default int row(int rank, int wanted) {
    return wanted;
  }

  /**
   * The attention window of layers with their own blocks, which {@link EngineConfig#windowBlocks}
   * counts; 0 if there are none.
   */
  default int window() {
    return 0;
  }

  /**
   * The token that begins a sequence whose prompt an encoder reads, at {@link StepRows#encode};
   * {@link #GOES_ON} without an encoder.
   */
  default int startToken() {
    return GOES_ON;
  }

  /** The names of the model's adapters of which a sequence has one, or none. */
  default List<String> adapters() {
    return List.of();
  }

  /** The MoE layers of the model. */
  default List<RoutedLayer> layers() {
    return List.of();
  }

  /**
   * Copies routes of the latest step, whose rows must be {@link StepRows#reportsRoutes}.
   *
   * @param rank the data rank
   * @param row of the step on that rank
   * @param into in the layout of {@link RouteLayout}
   */
  default void routes(int rank, int row, float[] into) {}

  /** Routes of all rows computed so far; rows that were computed again count again. */
  default RouteStatistics statistics() {
    return RouteStatistics.NONE;
  }

  /** Whether steps can be computed after one that failed. */
  default boolean recovers() {
    return true;
  }

  /**
   * The first layer whose output is not finite for the first {@code count} of {@code tokens}; -1 if
   * all are finite, or if this runner cannot find it.
   *
   * @param topK experts per row in each MoE layer; null for the gates' own K
   */
  default int firstNonFiniteLayer(int[] tokens, int count, int[] topK) {
    return -1;
  }

  /** The failure of a sequence; for values that are not finite, with the layer's name. */
  default RuntimeException withLayer(Sequence sequence, RuntimeException failure) {
    try {
      boolean adapted = sequence.adapter != 0; // the layer is looked for in the model alone
      int layer =
          adapted ? -1 : firstNonFiniteLayer(sequence.tokens, sequence.length, sequence.topK);
      if (layer >= 0) {
        RuntimeException named =
            new NotFinite(" in layer " + layer + " after " + sequence.length + " tokens");
        named.addSuppressed(failure);
        return named;
      }
    } catch (RuntimeException | OutOfMemoryError e) {
      failure.addSuppressed(e); // the failure itself is reported without its layer
    }
    return failure;
  }

  /** Called every few seconds while there is no work. */
  default void idle() {}

  @Override
  void close();
}
