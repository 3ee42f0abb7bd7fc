package panamoe.moe;

import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.Routes;
import panamoe.op.Pass;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/**
 * Batch-prioritised routing (V-MoE, arXiv 2106.05974): a full expert keeps the routes of the tokens
 * with the best scores of this rank's call, and of equally good ones the earlier.
 */
final class BatchPriority {
  private BatchPriority() {}

  /**
   * The inputs with a priority for every route: they choose twice, because a choice-major queue
   * ranks second choices behind all first ones.
   */
  static GateKernels.Inputs among(Pass pass, GateSettings settings, GateKernels.Inputs inputs) {
    Tensor priority = pass.scope().zeros(DType.FLOAT32, inputs.logits().shape());
    try (TensorScope scope = TensorScope.confined(pass.backend())) {
      int experts = Math.toIntExact(priority.size(1));
      Routes routes = Routes.allocate(scope, priority.size(0), experts, settings.topK());
      pass.backend().gateForward(settings.dropless(), inputs, routes);
      pass.backend().synchronize();
      fill(routes, settings.queues().order() == QueueOrder.CHOICE_MAJOR, priority);
    }
    return new GateKernels.Inputs(
        inputs.logits(), inputs.used(), inputs.bias(), inputs.noise(), priority);
  }

  /** Minus a route's place in the order of all routes. */
  private static void fill(Routes routes, boolean choiceMajor, Tensor priority) {
    List<Integer> order = byBest(routes);
    int[] choice = routes.choice().toInts();
    int topK = routes.topK();
    for (int place = 0; place < order.size(); place++) {
      int token = order.get(place);
      for (int k = 0; k < topK; k++) {
        int expert = choice[token * topK + k];
        if (expert >= 0) {
          long before = choiceMajor ? (long) k * order.size() : 0;
          priority.setFloat((long) token * routes.experts() + expert, -(before + place));
        }
      }
    }
  }

  /** The tokens from the one with the best score down. */
  private static List<Integer> byBest(Routes routes) {
    float[] scores = routes.scores().toFloats();
    int experts = routes.experts();
    double[] best = new double[Math.toIntExact(routes.tokens())];
    for (int i = 0; i < scores.length; i++) {
      best[i / experts] = Math.max(best[i / experts], scores[i]);
    }
    return IntStream.range(0, best.length)
        .boxed()
        .sorted(Comparator.comparingDouble(token -> -best[token]))
        .toList();
  }
}
