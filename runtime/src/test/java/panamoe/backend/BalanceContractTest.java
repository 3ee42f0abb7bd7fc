package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertThreadInvariant;
import static panamoe.testkit.FiniteDifference.assertGradient;

import java.util.List;
import panamoe.backend.BalanceKernels.Balance;
import panamoe.backend.BalanceKernels.Sums;
import panamoe.backend.GateSettings.Score;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class BalanceContractTest {
  private static final double TOLERANCE = 5e-6;

  /** Two sequences of two tokens, of which the last is padding. */
  @EveryBackend
  void sumsUsedTokensAlone(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      float[] rows = {0.5f, 0.5f, 0, 0.25f, 0.5f, 0.25f, 0, 0, 1, 0, 0, 0};
      Tensor scores = sample.floats(rows, 4, 3);
      Tensor choice = sample.integers(new int[] {0, 1, 1, 2, 2, 0, -1, -1}).reshape(4, 2);
      Sums sums = withEntropy(sample.scope(), 2, 3);
      Balance balance = new Balance(Score.SOFTMAX, 1, false);
      backend.balanceForward(balance, scores, choice, sums);
      assertArrayEquals(new int[] {2, 1}, sums.used().toInts());
      assertArrayEquals(new int[] {1, 1, 0, 0, 0, 1}, sums.chosen().toInts());
      double[] expected = {0.75, 1, 0.25, 0, 0, 1};
      for (int i = 0; i < expected.length; i++) {
        assertEquals(expected[i], sums.scores().getDouble(i), 1e-15);
      }
      assertEquals(2.5 * Math.log(2), sums.entropy().getDouble(0), 1e-14);
      assertEquals(0, sums.entropy().getDouble(1), 1e-14);
      assertEquals((3 / 4.0 * (0.75 + 1) + 3) / 2, loss(backend, sample, balance, sums, 2), 1e-7);
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    assertAgrees(backend, 2, TOLERANCE, BalanceContractTest::run);
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    assertThreadInvariant(backend, 3, BalanceContractTest::run);
  }

  /** Sums and gradients for every rule, over 3 sequences of 70 tokens. */
  private static List<Tensor> run(Backend on, Sample sample) {
    Tensor all = sample.unset(2 * Score.values().length, 5 * 3 * 20 + 210 * 20);
    int row = 0;
    for (Score score : Score.values()) {
      for (boolean normalized : new boolean[] {false, true}) {
        Routes routes = routes(on, sample, sample.normal(210, 20), score, 3);
        Balance balance = new Balance(score, 2, normalized);
        Sums sums = withEntropy(sample.scope(), 3, 20);
        on.balanceForward(balance, routes.scores(), routes.choice(), sums);
        Tensor dlogits = sample.unset(210, 20);
        on.balanceBackward(balance, 0.5, routes.scores(), sums, dlogits);
        long at = row++ * all.size(1);
        for (int i = 0; i < 60; i++) {
          all.setFloat(at + i, (float) sums.scores().getDouble(i));
          all.setFloat(at + 60 + i, sums.chosen().getInt(i));
          all.setFloat(at + 120 + i, sums.used().getInt(i / 20));
          all.setFloat(at + 180 + i, (float) sums.entropy().getDouble(i / 20));
          all.setFloat(at + 240 + i, loss(on, sample, balance, sums, i + 1));
        }
        for (int i = 0; i < dlogits.count(); i++) {
          all.setFloat(at + 300 + i, 1000 * dlogits.getFloat(i)); // of the order of 1
        }
      }
    }
    return List.of(all);
  }

  @EveryBackend
  void gradientMatchesFiniteDifferences(Backend backend) {
    for (Score score : Score.values()) {
      for (boolean normalized : new boolean[] {false, true}) {
        try (Sample sample = new Sample(backend, 4)) {
          Tensor logits = sample.separated(6, 5);
          Balance balance = new Balance(score, 2, normalized);
          Sums sums = Sums.allocate(sample.scope(), 2, 5);
          Routes routes = routes(backend, sample, logits, score, 2);
          backend.balanceForward(balance, routes.scores(), routes.choice(), sums);
          Tensor dlogits = sample.unset(6, 5);
          backend.balanceBackward(balance, 2, routes.scores(), sums, dlogits);
          assertGradient(
              logits,
              dlogits,
              1e-4,
              () -> {
                Routes moved = routes(backend, sample, logits, score, 2);
                backend.balanceForward(balance, moved.scores(), moved.choice(), sums);
                return 2 * loss(backend, sample, balance, sums, 1);
              });
        }
      }
    }
  }

  /** Three parts of a batch of 12 tokens; the last part is padding. */
  @EveryBackend
  void partsOfABatchGiveItsLossesAndGradients(Backend backend) {
    try (Sample sample = new Sample(backend, 6)) {
      int experts = 5;
      Tensor logits = sample.separated(12, experts);
      Tensor used = sample.scope().zeros(DType.UINT8, 12);
      for (int s : new int[] {0, 2, 3, 4, 5, 6, 7}) {
        used.setFloat(s, 1);
      }
      GateSettings settings = settings(Score.SIGMOID, 2);
      Tensor dweight = sample.scope().zeros(DType.FLOAT32, 12, 2);
      GateKernels.Inputs inputs = new GateKernels.Inputs(logits, used, null, null, null);
      Routes whole = Routes.allocate(sample.scope(), 12, experts, 2);
      backend.gateForward(settings, inputs, whole);
      Tensor expected = sample.unset(12, experts);
      GateKernels.LossGradients ofBatch = new GateKernels.LossGradients(0.7f, 0.3f, null);
      backend.gateBackward(settings, inputs, whole, dweight, ofBatch, expected);

      Tensor parts =
          sample.scope().allocate(DType.FLOAT64, 3, BalanceKernels.BatchPart.elements(experts));
      Routes[] routes = new Routes[3];
      Balance balance = new Balance(Score.SIGMOID, 2, false);
      for (int p = 0; p < 3; p++) {
        routes[p] = Routes.allocate(sample.scope(), 4, experts, 2);
        backend.gateForward(settings, part(inputs, p), routes[p]);
        BalanceKernels.BatchPart part = BalanceKernels.BatchPart.of(parts.rows(p, p + 1), experts);
        backend.balanceForward(balance, routes[p].scores(), routes[p].choice(), part.sums());
        backend.copy(routes[p].losses().rows(1, 2), part.z());
      }
      Sums sums = Sums.allocate(sample.scope(), 1, experts);
      Tensor z = sample.unset(1);
      backend.balanceJoin(parts, sums, z);
      assertEquals(7, sums.used().getInt(0));
      assertEquals(whole.losses().getFloat(0), loss(backend, sample, balance, sums, 1), 1e-6);
      assertEquals(whole.losses().getFloat(1), z.getFloat(0), 1e-6);
      Tensor actual = sample.unset(12, experts);
      for (int p = 0; p < 3; p++) {
        backend.gateBackward(
            settings,
            part(inputs, p),
            routes[p],
            dweight.rows(4L * p, 4L * p + 4),
            new GateKernels.LossGradients(0.7f, 0.3f, sums),
            actual.rows(4L * p, 4L * p + 4));
      }
      assertArrayEquals(expected.toFloats(), actual.toFloats(), 1e-6f);
    }
  }

  private static GateKernels.Inputs part(GateKernels.Inputs all, long p) {
    return new GateKernels.Inputs(
        all.logits().rows(4 * p, 4 * p + 4), all.used().rows(4 * p, 4 * p + 4), null, null, null);
  }

  @EveryBackend
  void refusesWhatDoesNotFit(Backend backend) {
    try (Sample sample = new Sample(backend, 5)) {
      Tensor scores = sample.normal(6, 4);
      Tensor choice = sample.integers(0, 4, 6, 2);
      Balance balance = new Balance(Score.SOFTMAX, 2, false);
      Sums sums = Sums.allocate(sample.scope(), 2, 4);
      Sums four = Sums.allocate(sample.scope(), 4, 4);
      assertRefused(
          "scores has 6 tokens, which are not 4 equal sequences",
          () -> backend.balanceForward(balance, scores, choice, four));
      Balance many = new Balance(Score.SOFTMAX, 17, false);
      assertRefused("choices is 17", () -> backend.balanceForward(many, scores, choice, sums));
      assertRefused(
          "dloss is nan",
          () -> backend.balanceBackward(balance, Double.NaN, scores, sums, sample.unset(6, 4)));
      assertRefused("sequences is 0", () -> backend.balanceLoss(balance, sums, 0, sample.unset(1)));
      choice.setInt(3, 4);
      assertRefused(
          "choice[3] is 4",
          () -> {
            backend.balanceForward(balance, scores, choice, sums);
            backend.synchronize();
          });
    }
  }

  private static float loss(Backend on, Sample sample, Balance balance, Sums sums, long sequences) {
    Tensor loss = sample.unset(1);
    on.balanceLoss(balance, sums, sequences, loss);
    return loss.getFloat(0);
  }

  private static Routes routes(Backend on, Sample sample, Tensor logits, Score score, int topK) {
    Routes routes = Routes.allocate(sample.scope(), logits.size(0), (int) logits.size(1), topK);
    on.gateForward(settings(score, topK), GateKernels.Inputs.of(logits), routes);
    return routes;
  }

  private static GateSettings settings(Score score, int topK) {
    GateSettings dropless = GateSettings.dropless(topK);
    return new GateSettings(
        topK, score, dropless.groups(), 0, dropless.queues(), dropless.weighting(), topK);
  }

  private static Sums withEntropy(TensorScope scope, long sequences, long experts) {
    Sums sums = Sums.allocate(scope, sequences, experts);
    Tensor entropy = scope.allocate(DType.FLOAT64, sequences);
    return new Sums(sums.used(), sums.chosen(), sums.scores(), entropy);
  }
}
