package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static panamoe.testkit.FiniteDifference.assertGradient;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import panamoe.backend.Backend;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
import panamoe.backend.GateSettings.Groups;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Queues;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.GateSettings.Weighting;
import panamoe.backend.Routes;
import panamoe.config.GateConfig;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;

/** {@link BalanceOp} across layers: two layers of three tokens and four experts. */
class BalanceAcrossLayersTest {
  private static final int TOKENS = 3;
  private static final int EXPERTS = 4;
  private static final float COEFFICIENT = 0.5f;

  /** Each token's first two choices lead by more than a finite difference moves them. */
  private static final float[][] LOGITS = {
    {2, 1, -0.5f, 0, 1.2f, 2, 0, 0.1f, 2.1f, -1, 1, 0}, {0, 0.2f, 2, 1, 1, -0.5f, 0, 2, 2, 1, 0, 0}
  };

  private static final int[][] CHOSEN = {{0, 1}, {1, 0}, {0, 2}, {2, 3}, {3, 0}, {0, 1}};

  @EveryBackend
  void gradientsMatchFiniteDifferencesOfOneLoss(Backend backend) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor[] layers = layers(scope);
      Tape tape = new Tape(backend);
      Pass pass = Pass.training(backend, scope, tape, 1, 1);
      for (Tensor layer : layers) {
        forward(pass, layer);
      }
      tape.backward();
      for (Tensor layer : layers) {
        assertGradient(layer, tape.gradient(layer), 1e-4, () -> COEFFICIENT * loss(layers));
      }
    }
  }

  @EveryBackend
  void gradientsAreTheSameIfLayersAreComputedAgain(Backend backend) {
    assertArrayEquals(gradients(backend, false)[0], gradients(backend, true)[0], 0f);
    assertArrayEquals(gradients(backend, false)[1], gradients(backend, true)[1], 0f);
  }

  private static float[][] gradients(Backend backend, boolean recompute) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor[] layers = layers(scope);
      Tape tape = new Tape(backend);
      Pass pass = Pass.training(backend, scope, tape, 1, 1);
      for (Tensor layer : layers) {
        Tensor y =
            recompute
                ? RecomputeOp.forward(pass, layer, BalanceAcrossLayersTest::segment)
                : segment(pass, layer);
        tape.addGradient(y, scope.zeros(DType.FLOAT32, y.shape()));
      }
      tape.backward();
      return Stream.of(layers)
          .map(layer -> tape.gradient(layer).toFloats())
          .toArray(float[][]::new);
    }
  }

  private static Tensor segment(Pass pass, Tensor logits) {
    forward(pass, logits);
    return AddOp.forward(pass, logits, logits);
  }

  /** Sigmoid scores, groups and a bias change the routes, but not the loss. */
  @EveryBackend
  void theLossIsOfTheSoftmaxWhateverTheGateChoosesBy(Backend backend) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      Tensor bias = scope.allocate(DType.FLOAT32, EXPERTS).set(new float[] {0, 9, 0, 9});
      Tensor[] layers = layers(scope);
      Tape tape = new Tape(backend);
      Pass pass = Pass.training(backend, scope, tape, 1, 1);
      for (Tensor layer : layers) {
        GateSettings settings =
            new GateSettings(
                2,
                Score.SIGMOID,
                new Groups(2, 1, GateSettings.GroupScore.TOP2_SUM),
                0,
                Queues.DROPLESS,
                Weighting.of(Normalization.CHOSEN),
                2);
        GateKernels.Inputs inputs = new GateKernels.Inputs(layer, null, bias, null, null);
        Routes routes = GateOp.forward(pass, settings, inputs, 0, 0);
        BalanceOp.ofLayers(pass, settings, inputs, routes, COEFFICIENT);
      }
      tape.backward();
      float[][] expected = gradients(backend, false);
      for (int i = 0; i < layers.length; i++) {
        assertArrayEquals(expected[i], tape.gradient(layers[i]).toFloats(), 0f);
      }
    }
  }

  @Test
  void aLossIsByTheSequenceOrAcrossLayers() {
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> new GateConfig.Loss(true, 0.1, 0, true, null, true))
            .getMessage();
    assertEquals("the auxiliary loss is taken perSequence or acrossLayers, not both", message);
  }

  private static Tensor[] layers(TensorScope scope) {
    return Stream.of(LOGITS)
        .map(logits -> scope.allocate(DType.FLOAT32, TOKENS, EXPERTS).set(logits))
        .toArray(Tensor[]::new);
  }

  private static void forward(Pass pass, Tensor logits) {
    GateSettings settings =
        new GateSettings(
            2, Score.SOFTMAX, Groups.ONE, 0, Queues.DROPLESS, Weighting.of(Normalization.RAW), 2);
    GateKernels.Inputs inputs = GateKernels.Inputs.of(logits);
    Routes routes = GateOp.forward(pass, settings, inputs, 0, 0);
    BalanceOp.ofLayers(pass, settings, inputs, routes, COEFFICIENT);
  }

  /** The loss over all six tokens as one batch, expert by expert. */
  private static double loss(Tensor[] layers) {
    double loss = 0;
    int tokens = CHOSEN.length;
    for (int e = 0; e < EXPERTS; e++) {
      double chosen = 0;
      double probability = 0;
      for (int token = 0; token < tokens; token++) {
        Tensor layer = layers[token / TOKENS];
        double sum = 0;
        for (int i = 0; i < EXPERTS; i++) {
          sum += Math.exp(layer.getFloat((long) token % TOKENS * EXPERTS + i));
        }
        probability += Math.exp(layer.getFloat((long) token % TOKENS * EXPERTS + e)) / sum;
        chosen += CHOSEN[token][0] == e || CHOSEN[token][1] == e ? 1 : 0;
      }
      loss += EXPERTS * chosen / (2.0 * tokens) * probability / tokens;
    }
    return loss;
  }
}
