package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;

import java.util.List;
import panamoe.backend.Backend;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Groups;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Queues;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.GateSettings.Weighting;
import panamoe.backend.Routes;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;

/** Gates whose choice is given: two of four experts, three tokens, the second without a choice. */
class RouteSourceTest {
  /** The given experts are not the best ones, and a finite difference would change the choice. */
  private static final float[] LOGITS = {3, 2, 1.01f, 1, 40, 2, 3, 1, 0, 0, 0, 0.01f};

  private static final int[] GIVEN = {3, 1, -1, -1, 0, 2};
  private static final float[] DWEIGHT = {1, -2, 0, 0, 3, 0.5f};

  private static List<GateSettings> settings() {
    return List.of(
        settings(Score.SOFTMAX, Groups.ONE, Normalization.CHOSEN),
        settings(Score.SOFTMAX, Groups.ONE, Normalization.RAW),
        settings(Score.SIGMOID, new Groups(2, 1, GroupScore.TOP2_SUM), Normalization.CHOSEN));
  }

  private static GateSettings settings(Score score, Groups groups, Normalization normalization) {
    return new GateSettings(2, score, groups, 0, Queues.DROPLESS, Weighting.of(normalization), 2);
  }

  private static Routes forward(Pass pass, GateSettings settings, Tensor logits) {
    Tensor bias = pass.allocate(DType.FLOAT32, 4).set(0f, 0, 5, 0);
    GateKernels.Inputs own = new GateKernels.Inputs(logits, null, bias, null, null);
    GateKernels.Inputs inputs = GateOp.choosing(pass, settings, own, GIVEN);
    return GateOp.forward(pass, settings.byNoise(), inputs, 0, 0);
  }

  @EveryBackend
  void givesTheExpertsInTheirOrder(Backend backend) {
    for (GateSettings settings : settings()) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor logits = scope.allocate(DType.FLOAT32, 3, 4).set(LOGITS);
        Routes routes = forward(Pass.inference(backend, scope), settings, logits);
        // By the bias, and within the best group, which has experts 2 and 3.
        int[] own = settings.groups().count() == 1 ? new int[] {2, 0} : new int[] {2, 3};
        assertArrayEquals(new int[] {3, 1, own[0], own[1], 0, 2}, routes.choice().toInts());
        assertArrayEquals(routes.choice().toInts(), routes.expert().toInts());
      }
    }
  }

  @EveryBackend
  void gradientsPassThroughTheLogitsOfTheGivenExperts(Backend backend) {
    for (GateSettings settings : settings()) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor logits = scope.allocate(DType.FLOAT32, 3, 4).set(LOGITS);
        Tensor dweight = scope.allocate(DType.FLOAT32, 3, 2).set(DWEIGHT);
        Tape tape = new Tape(backend);
        Routes routes = forward(Pass.evaluation(backend, scope, tape), settings, logits);
        Tensor given = scope.allocate(DType.FLOAT32, 3, 2);
        backend.copy(dweight, given);
        tape.addGradient(routes.weight(), given);
        tape.backward();
        assertGradient(
            logits,
            tape.gradient(logits),
            1e-4,
            () -> {
              try (TensorScope inner = TensorScope.confined(backend)) {
                Routes moved = forward(Pass.inference(backend, inner), settings, logits);
                return dot(moved.weight(), dweight);
              }
            });
      }
    }
  }

  @EveryBackend
  void refusesExpertsThatThereAreNot(Backend backend) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Pass pass = Pass.inference(backend, scope);
      GateKernels.Inputs inputs =
          GateKernels.Inputs.of(scope.allocate(DType.FLOAT32, 3, 4).set(LOGITS));
      for (int[] given : new int[][] {{0, 1}, {0, 1, 2, 3, 0, 4}}) {
        assertThrows(
            IllegalArgumentException.class,
            () -> GateOp.choosing(pass, settings().getFirst(), inputs, given));
      }
    }
  }
}
