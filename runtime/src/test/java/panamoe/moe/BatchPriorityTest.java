package panamoe.moe;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import panamoe.backend.Backend;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.config.GateConfig;
import panamoe.op.Pass;
import panamoe.param.Declarations;
import panamoe.param.ParameterStore;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;

/** Two experts that keep one route each. */
class BatchPriorityTest {
  @EveryBackend
  void theTokenWithTheBestScoreIsKept(Backend backend) {
    float[] logits = {1, 0, 3, 0, 0, 1, 0, 2, 3, 0};
    assertArrayEquals(
        new int[] {-1, 0, -1, 1, -1}, experts(backend, 1, 0.4, QueueOrder.CHOICE_MAJOR, logits));
  }

  @EveryBackend
  void firstChoicesComeFirstInAChoiceMajorQueue(Backend backend) {
    float[] logits = {0, 1, 3, 0};
    assertArrayEquals(
        new int[] {1, -1, 0, -1}, experts(backend, 2, 0.5, QueueOrder.CHOICE_MAJOR, logits));
  }

  @EveryBackend
  void inATokenMajorQueueTheBestTokenHasAllItsChoices(Backend backend) {
    float[] logits = {0, 1, 3, 0};
    assertArrayEquals(
        new int[] {-1, -1, 0, 1}, experts(backend, 2, 0.5, QueueOrder.TOKEN_MAJOR, logits));
  }

  private static int[] experts(
      Backend backend, int topK, double factor, QueueOrder order, float... logits) {
    GateConfig config =
        new GateConfig(
            topK,
            false,
            Score.SOFTMAX,
            GateConfig.Choice.BEST,
            GateConfig.RouteWeight.of(Normalization.RAW),
            new GateConfig.Capacity(DropPolicy.BEST_SCORE, factor, factor, 0, order),
            new GateConfig.Loss(true, 0, 0));
    try (ParameterStore store = new ParameterStore();
        TensorScope scope = TensorScope.confined(backend)) {
      Gate gate = new Gate(Declarations.of(store, 1, "gate"), 2, 2, config);
      store.materialize(backend, DType.FLOAT32, false, 1);
      store.parameters().getFirst().master().set(1f, 0, 0, 1); // logits are the token
      Tensor x = scope.allocate(DType.FLOAT32, logits.length / 2, 2).set(logits);
      int[] kept = gate.forward(Pass.inference(backend, scope), x, null, 0).expert().toInts();
      backend.synchronize();
      return kept;
    }
  }
}
