package panamoe.testkit;

import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Groups;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Queues;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.GateSettings.Weighting;
import panamoe.backend.Routes;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** Routes of the reference gate for random logits, for tests of dispatch, experts and combine. */
public final class RandomRoutes {
  private RandomRoutes() {}

  /**
   * Routes of {@code tokens} tokens with some padding, and drops by a capacity below the mean load.
   */
  public static Routes of(Sample sample, int tokens, int experts, int topK) {
    long capacity = Math.max(1, tokens * (long) topK / experts);
    return of(
        sample,
        settings(topK, DropPolicy.POSITION, capacity, Normalization.CHOSEN),
        tokens,
        experts);
  }

  public static Routes of(Sample sample, GateSettings settings, int tokens, int experts) {
    Tensor logits = sample.normal(tokens, experts);
    Tensor used = sample.marks(0.9, tokens);
    Routes routes = Routes.allocate(sample.scope(), tokens, experts, settings.topK());
    try (Backend reference = new ReferenceBackend();
        TensorScope scope = TensorScope.confined(reference)) {
      Routes given = Routes.allocate(scope, tokens, experts, settings.topK());
      reference.gateForward(
          settings,
          new GateKernels.Inputs(
              Sample.copy(scope, logits), Sample.copy(scope, used), null, null, null),
          given);
      List<Tensor> tables = tables(routes);
      for (int i = 0; i < tables.size(); i++) {
        tables.get(i).copyFrom(tables(given).get(i).data());
      }
    }
    return routes;
  }

  private static List<Tensor> tables(Routes routes) {
    return List.of(
        routes.scores(),
        routes.expert(),
        routes.position(),
        routes.weight(),
        routes.choice(),
        routes.counts(),
        routes.offsets(),
        routes.losses());
  }

  public static int kept(Routes routes) {
    return routes.offsets().getInt(routes.experts());
  }

  /** Softmax scores, token-major queues, the auxiliary loss over all choices. */
  public static GateSettings settings(
      int topK, DropPolicy policy, long capacity, Normalization normalization) {
    return new GateSettings(
        topK,
        Score.SOFTMAX,
        Groups.ONE,
        0,
        new Queues(policy, QueueOrder.TOKEN_MAJOR, capacity),
        Weighting.of(normalization),
        topK);
  }
}
