package panamoe.harness.serve;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import panamoe.engine.EngineThread;
import panamoe.engine.RouteStatistics;

/** Which experts all rows chose since the server started. Thread-safe. */
final class MoeEndpoint {
  record Answer(String object, String model, List<Layer> layers) {}

  /** An MoE layer. */
  record Layer(
      int layer,
      int experts,
      int topK,
      long[] tokens,
      double[] weight,
      double entropy,
      double imbalance) {}

  private final ServedModel model;
  private final Supplier<EngineThread> engine;

  /**
   * @param engine gives the engine; throws an ApiError while the server has none
   */
  MoeEndpoint(ServedModel model, Supplier<EngineThread> engine) {
    this.model = model;
    this.engine = engine;
  }

  void statistics(Call call) throws IOException, InterruptedException {
    List<Layer> layers = now().layers().stream().map(MoeEndpoint::layer).toList();
    call.answer(new Answer("moe.stats", model.name(), layers));
  }

  /** The statistics after the step that is being computed. */
  private RouteStatistics now() throws InterruptedException {
    try {
      return engine.get().routeStatistics().get();
    } catch (ExecutionException | IllegalStateException _) {
      throw ApiError.unavailable(
          "the engine ended before it told its routes", ServerState.FAILED.word());
    }
  }

  private static Layer layer(RouteStatistics.Layer told) {
    return new Layer(
        told.layer(),
        told.experts(),
        told.topK(),
        told.tokens(),
        told.weight(),
        told.entropy(),
        told.imbalance());
  }
}
