package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.FiniteDifference.assertGradient;

import panamoe.backend.Backend;
import panamoe.backend.GateKernels;
import panamoe.backend.GateSettings;
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

/**
 * {@link BalanceOp} per sequence: two sequences of three tokens and four experts; the last token is
 * padding.
 */
class BalancePerSequenceTest {
  private static final int LENGTH = 3;
  private static final int EXPERTS = 4;
  private static final int TOKENS = 2 * LENGTH;
  private static final float COEFFICIENT = 0.5f;

  /** Each token's first two choices lead by more than a finite difference moves them. */
  private static final float[] LOGITS = {
    2, 1, -0.5f, 0, 1.2f, 2, 0, 0.1f, 2.1f, -1, 1, 0, 0, 0.2f, 2, 1, 1, -0.5f, 0, 2, 9, 9, 9, 9
  };

  private static final int[][] CHOSEN = {{0, 1}, {1, 0}, {0, 2}, {2, 3}, {3, 0}};

  @EveryBackend
  void isTheMeanOfTheSequencesLosses(Backend backend) {
    for (Score score : Score.values()) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor logits = scope.allocate(DType.FLOAT32, TOKENS, EXPERTS).set(LOGITS);
        assertEquals(expected(score), loss(backend, logits, score), 1e-5);
      }
    }
  }

  @EveryBackend
  void gradientMatchesFiniteDifferences(Backend backend) {
    for (Score score : Score.values()) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor logits = scope.allocate(DType.FLOAT32, TOKENS, EXPERTS).set(LOGITS);
        Tape tape = new Tape(backend);
        forward(Pass.training(backend, scope, tape, 1, 1), logits, score);
        tape.backward();
        assertGradient(
            logits, tape.gradient(logits), 1e-4, () -> COEFFICIENT * loss(backend, logits, score));
      }
    }
  }

  private static double loss(Backend backend, Tensor logits, Score score) {
    try (TensorScope scope = TensorScope.confined(backend)) {
      return forward(Pass.inference(backend, scope), logits, score).losses().getFloat(0);
    }
  }

  private static Routes forward(Pass pass, Tensor logits, Score score) {
    GateSettings settings =
        new GateSettings(
            2, score, Groups.ONE, 0, Queues.DROPLESS, Weighting.of(Normalization.CHOSEN), 2);
    Tensor used = pass.allocate(DType.UINT8, TOKENS);
    for (int token = 0; token < TOKENS; token++) {
      used.setFloat(token, token < CHOSEN.length ? 1 : 0);
    }
    Routes routes =
        GateOp.forward(
            pass, settings, new GateKernels.Inputs(logits, used, null, null, null), 0, 0);
    BalanceOp.ofSequences(pass, settings, logits, routes, LENGTH, COEFFICIENT);
    return routes;
  }

  /** DeepSeek-V3's equations 17 to 20, expert by expert. */
  private static double expected(Score score) {
    double loss = 0;
    for (int sequence = 0; sequence < 2; sequence++) {
      int first = sequence * LENGTH;
      int used = Math.min(CHOSEN.length, first + LENGTH) - first;
      for (int e = 0; e < EXPERTS; e++) {
        double f = 0;
        double p = 0;
        for (int token = first; token < first + used; token++) {
          f += CHOSEN[token][0] == e || CHOSEN[token][1] == e ? EXPERTS / (2.0 * used) : 0;
          p += score(score, token, e) / used;
        }
        loss += f * p / 2;
      }
    }
    return loss;
  }

  private static double score(Score score, int token, int expert) {
    double sum = 0;
    for (int e = 0; e < EXPERTS; e++) {
      sum += raw(score, LOGITS[token * EXPERTS + e]);
    }
    return raw(score, LOGITS[token * EXPERTS + expert]) / sum;
  }

  private static double raw(Score score, double logit) {
    return score == Score.SOFTMAX ? Math.exp(logit) : 1 / (1 + Math.exp(-logit));
  }
}
