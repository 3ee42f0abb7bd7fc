package panamoe.harness.serve;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import panamoe.engine.routes.RouteStatistics;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.serve.completion.ServerState;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.model.ServedModel;
import panamoe.open.ExpertHeat;

/** How often rows chose each expert since the server started, and before. Thread-safe. */
final class MoeEndpoint {
  record Response(String object, String model, List<Layer> layers) {}

  /**
   * An MoE layer.
   *
   * @param tokensBefore counts of earlier servers; null if they are not kept
   */
  record Layer(
      int layer,
      int experts,
      int topK,
      long[] tokens,
      @JsonInclude(JsonInclude.Include.NON_NULL) long[] tokensBefore,
      double[] weight,
      double entropy,
      double imbalance) {}

  private final ServedModel model;
  private final Supplier<EngineThread> engine;
  private volatile List<ExpertHeat.Layer> before = List.of();

  /**
   * @param engine gives the engine, or throws an ApiError while the model loads
   */
  MoeEndpoint(ServedModel model, Supplier<EngineThread> engine) {
    this.model = model;
    this.engine = engine;
  }

  /** Also reports the counts of earlier servers from now on. */
  void keeps(List<ExpertHeat.Layer> layers) {
    before = layers;
  }

  void statistics(HttpExchange call) throws IOException, InterruptedException {
    List<RouteStatistics.Layer> reported = now().layers();
    List<ExpertHeat.Layer> kept = before;
    List<Layer> layers =
        IntStream.range(0, reported.size())
            .mapToObj(i -> layer(reported.get(i), kept.isEmpty() ? null : kept.get(i).tokens()))
            .toList();
    call.respond(new Response("moe.stats", model.name(), layers));
  }

  /** The statistics after the current step. */
  private RouteStatistics now() throws InterruptedException {
    try {
      return engine.get().routeStatistics().get();
    } catch (ExecutionException | IllegalStateException _) {
      throw ApiError.unavailable(
          "the engine ended before it reported its routes", ServerState.FAILED.word());
    }
  }

  private static Layer layer(RouteStatistics.Layer reported, long[] before) {
    return new Layer(
        reported.layer(),
        reported.experts(),
        reported.topK(),
        reported.tokens(),
        before,
        reported.weight(),
        reported.entropy(),
        reported.imbalance());
  }
}
