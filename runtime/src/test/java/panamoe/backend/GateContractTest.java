package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.Compare.assertThreadInvariant;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;
import static panamoe.testkit.RandomRoutes.settings;

import java.util.List;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Groups;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Queues;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.GateSettings.Weighting;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class GateContractTest {
  private static final double TOLERANCE = 5e-6;

  @EveryBackend
  void auxiliaryLossIsOneWhenUniformAndTheNumberOfExpertsWhenCollapsed(Backend backend) {
    for (int topK = 1; topK <= 3; topK++) {
      try (Sample sample = new Sample(backend, 1)) {
        Tensor logits = sample.scope().zeros(DType.FLOAT32, 12, 6);
        Routes routes = route(backend, sample, GateSettings.dropless(topK), logits);
        assertEquals(1, routes.losses().getFloat(0), 1e-6);
        assertEquals(Math.pow(Math.log(6), 2), routes.losses().getFloat(1), 1e-5);
      }
    }
    try (Sample sample = new Sample(backend, 1)) {
      Tensor logits = sample.scope().zeros(DType.FLOAT32, 12, 6);
      for (int s = 0; s < 12; s++) {
        logits.setFloat(s * 6 + 4, 60);
      }
      Routes routes = route(backend, sample, GateSettings.dropless(1), logits);
      assertEquals(6, routes.losses().getFloat(0), 1e-5);
      assertEquals(3600, routes.losses().getFloat(1), 1e-2);
      assertArrayEquals(new int[] {0, 0, 0, 0, 12, 0}, routes.counts().toInts());
    }
  }

  @EveryBackend
  void tiesGoToTheLowestExpert(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor logits = sample.floats(new float[] {1, 2, 2, 2, 0, 0, 0, 0}, 2, 4);
      Routes routes = route(backend, sample, GateSettings.dropless(3), logits);
      assertArrayEquals(new int[] {1, 2, 3, 0, 1, 2}, routes.choice().toInts());
    }
  }

  /**
   * Over 1,000 seeds each of 24 tokens for an expert of capacity 6 is kept within 3 sigma of 1 in
   * 4.
   */
  @EveryBackend
  void randomTokenSelectionIsFair(Backend backend) {
    int tokens = 24;
    int capacity = 6;
    int seeds = 1000;
    int[] survived = new int[tokens];
    try (Sample sample = new Sample(backend, 3)) {
      Tensor logits = sample.scope().zeros(DType.FLOAT32, tokens, 2);
      Tensor priority = sample.unset(tokens, 2);
      Routes routes = Routes.allocate(sample.scope(), tokens, 2, 1);
      GateSettings settings = settings(1, DropPolicy.PRIORITY, capacity, Normalization.RAW);
      for (int seed = 0; seed < seeds; seed++) {
        backend.randomUniform(seed, 0, priority);
        backend.gateForward(
            settings, new GateKernels.Inputs(logits, null, null, null, priority), routes);
        assertEquals(capacity, routes.offsets().getInt(1));
        for (int s = 0; s < tokens; s++) {
          survived[s] += routes.expert().getInt(s) == 0 ? 1 : 0;
        }
      }
    }
    double rate = (double) capacity / tokens;
    for (int count : survived) {
      assertEquals(rate, (double) count / seeds, 3 * Math.sqrt(rate * (1 - rate) / seeds));
    }
  }

  /** Padding is not routed and enters no count or loss, whatever its logits are. */
  @EveryBackend
  void paddingChangesNothing(Backend backend) {
    for (int topK = 1; topK <= 4; topK++) {
      try (Sample sample = new Sample(backend, 4)) {
        GateSettings settings =
            settings(topK, DropPolicy.POSITION, topK + 1, Normalization.SURVIVORS);
        Tensor logits = sample.normal(9, 5);
        Tensor padded = sample.unset(18, 5);
        Tensor used = sample.scope().zeros(DType.UINT8, 18);
        for (int s = 0; s < 9; s++) {
          used.setFloat(2 * s + 1, 1);
          backend.copy(logits.rows(s, s + 1), padded.rows(2 * s + 1, 2 * s + 2));
        }
        Routes plain = route(backend, sample, settings, logits);
        Routes routes = Routes.allocate(sample.scope(), 18, 5, topK);
        backend.gateForward(
            settings, new GateKernels.Inputs(padded, used, null, null, null), routes);
        assertSameBits(plain.counts(), routes.counts());
        assertSameBits(plain.offsets(), routes.offsets());
        assertClose(plain.losses(), routes.losses(), 1e-6);
        for (int s = 0; s < 9; s++) {
          assertSameBits(plain.expert().rows(s, s + 1), routes.expert().rows(2 * s + 1, 2 * s + 2));
          assertSameBits(
              plain.position().rows(s, s + 1), routes.position().rows(2 * s + 1, 2 * s + 2));
          assertSameBits(plain.weight().rows(s, s + 1), routes.weight().rows(2 * s + 1, 2 * s + 2));
          for (int k = 0; k < topK; k++) {
            assertEquals(-1, routes.expert().getInt(2L * s * topK + k));
            assertEquals(-1, routes.choice().getInt(2L * s * topK + k));
            assertEquals(0, routes.weight().getFloat(2L * s * topK + k));
          }
        }
      }
    }
  }

  /** The bias changes the choice only; the weight is the score without it (DeepSeek-V3). */
  @EveryBackend
  void biasActsOnTheChoiceOnly(Backend backend) {
    try (Sample sample = new Sample(backend, 5)) {
      Tensor logits = sample.floats(new float[] {2, 1, 0}, 1, 3);
      Tensor bias = sample.floats(new float[] {0, 0, 5}, 3);
      Routes routes = Routes.allocate(sample.scope(), 1, 3, 1);
      GateSettings settings = with(GateSettings.dropless(1), Score.SIGMOID, Groups.ONE, 0);
      backend.gateForward(settings, new GateKernels.Inputs(logits, null, bias, null, null), routes);
      assertEquals(2, routes.expert().getInt(0));
      assertEquals(0.5, routes.weight().getFloat(0), 1e-6);
    }
  }

  @EveryBackend
  void noiseActsFromItsFirstChoiceOn(Backend backend) {
    try (Sample sample = new Sample(backend, 6)) {
      Tensor logits = sample.floats(new float[] {2, 1, 0, -1}, 1, 4);
      Tensor noise = sample.floats(new float[] {0, 0, 0, 9}, 1, 4);
      Routes routes = Routes.allocate(sample.scope(), 1, 4, 2);
      backend.gateForward(
          with(GateSettings.dropless(2), Score.SOFTMAX, Groups.ONE, 0),
          new GateKernels.Inputs(logits, null, null, noise, null),
          routes);
      assertArrayEquals(new int[] {3, 0}, routes.choice().toInts());
      backend.gateForward(
          with(GateSettings.dropless(2), Score.SOFTMAX, Groups.ONE, 1),
          new GateKernels.Inputs(logits, null, null, noise, null),
          routes);
      assertArrayEquals(new int[] {0, 3}, routes.choice().toInts());
      assertEquals(
          Math.exp(2) / (Math.exp(2) + Math.exp(1) + 1 + Math.exp(-1)),
          routes.weight().getFloat(0),
          1e-6);
    }
  }

  /**
   * Groups (0, 1), (2, 3), (4, 5): by maximum the first and the last are best, by the sum of two
   * the last two.
   */
  @EveryBackend
  void expertsAreChosenWithinTheBestGroups(Backend backend) {
    try (Sample sample = new Sample(backend, 7)) {
      Tensor logits = sample.floats(new float[] {1.5f, -9, 0.9f, 0.8f, 2, 1.9f}, 1, 6);
      Routes routes = Routes.allocate(sample.scope(), 1, 6, 3);
      GateSettings maximum =
          with(GateSettings.dropless(3), Score.SIGMOID, new Groups(3, 2, GroupScore.MAXIMUM), 0);
      backend.gateForward(maximum, GateKernels.Inputs.of(logits), routes);
      assertArrayEquals(new int[] {4, 5, 0}, routes.choice().toInts());
      backend.gateForward(
          with(maximum, Score.SIGMOID, new Groups(3, 2, GroupScore.TOP2_SUM), 0),
          GateKernels.Inputs.of(logits),
          routes);
      assertArrayEquals(new int[] {4, 5, 2}, routes.choice().toInts());
    }
  }

  /** Scores rise with the token: the last two survive, the earlier of them first. */
  @EveryBackend
  void survivorsKeepTheOrderOfTheirQueue(Backend backend) {
    try (Sample sample = new Sample(backend, 11)) {
      Tensor logits = sample.floats(new float[] {1, 0, 2, 0, 3, 0}, 3, 2);
      Routes routes =
          route(backend, sample, settings(1, DropPolicy.PROBABILITY, 2, Normalization.RAW), logits);
      assertArrayEquals(new int[] {-1, 0, 0}, routes.expert().toInts());
      assertArrayEquals(new int[] {-1, 0, 1}, routes.position().toInts());
    }
  }

  /** Scores 0.5 and 0.25: weight = 2 score / max(0.75 + offset, epsilon). */
  @EveryBackend
  void weightsAreScaledAndTheirDenominatorBounded(Backend backend) {
    try (Sample sample = new Sample(backend, 12)) {
      Tensor logits = sample.floats(new float[] {0, (float) -Math.log(3)}, 1, 2);
      float[][] bounds = {{0, 0, 0.75f}, {0.25f, 0, 1}, {0, 4, 4}};
      for (float[] bound : bounds) {
        GateSettings settings =
            new GateSettings(
                2,
                Score.SIGMOID,
                Groups.ONE,
                0,
                Queues.DROPLESS,
                new Weighting(Normalization.CHOSEN, bound[1], bound[0], 2),
                2);
        Routes routes = route(backend, sample, settings, logits);
        assertClose(new double[] {1 / bound[2], 0.5 / bound[2]}, routes.weight(), 1e-6);
      }
    }
  }

  @EveryBackend
  void edgesOfTheSizes(Backend backend) {
    try (Sample sample = new Sample(backend, 8)) {
      Routes none = route(backend, sample, GateSettings.dropless(2), sample.normal(0, 3));
      assertArrayEquals(new int[] {0, 0, 0, 0}, none.offsets().toInts());
      assertEquals(0, none.losses().getFloat(0));
      Routes one = route(backend, sample, GateSettings.dropless(1), sample.normal(1, 1));
      assertArrayEquals(new int[] {0, 1}, one.offsets().toInts());
      assertEquals(1, one.weight().getFloat(0));
      Routes full =
          route(
              backend,
              sample,
              settings(1, DropPolicy.POSITION, 0, Normalization.SURVIVORS),
              sample.normal(5, 3));
      assertArrayEquals(new int[] {0, 0, 0, 0}, full.offsets().toInts());
      assertClose(new double[5], full.weight(), 0);
    }
  }

  /** Logits are 0.6 apart, so that finite differences change no choice and no kept route. */
  @EveryBackend
  void gradientMatchesFiniteDifferences(Backend backend) {
    for (Score score : Score.values()) {
      for (Normalization normalization : Normalization.values()) {
        try (Sample sample = new Sample(backend, 9)) {
          GateSettings settings =
              with(settings(2, DropPolicy.POSITION, 3, normalization), score, Groups.ONE, 0);
          Tensor logits = sample.separated(9, 5);
          Tensor used = sample.marks(0.8, 9);
          Tensor dweight = sample.normal(9, 2);
          Routes routes = Routes.allocate(sample.scope(), 9, 5, 2);
          Routes probe = Routes.allocate(sample.scope(), 9, 5, 2);
          Tensor dlogits = sample.unset(9, 5);
          backend.gateForward(
              settings, new GateKernels.Inputs(logits, used, null, null, null), routes);
          backend.gateBackward(
              settings,
              new GateKernels.Inputs(logits, used, null, null, null),
              routes,
              dweight,
              new GateKernels.LossGradients(0.7f, 0.3f, null),
              dlogits);
          assertGradient(
              logits,
              dlogits,
              1e-3,
              () -> {
                backend.gateForward(
                    settings, new GateKernels.Inputs(logits, used, null, null, null), probe);
                assertSameBits(routes.expert(), probe.expert());
                return dot(probe.weight(), dweight)
                    + 0.7 * probe.losses().getFloat(0)
                    + 0.3 * probe.losses().getFloat(1);
              });
        }
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (int seed = 0; seed < 300; seed++) {
      assertAgrees(backend, seed, TOLERANCE, (on, sample) -> randomCase(on, sample, 40));
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    for (int seed = 0; seed < 30; seed++) {
      assertThreadInvariant(backend, seed, (on, sample) -> randomCase(on, sample, 2000));
    }
  }

  @EveryBackend
  void refusesValuesAndSettingsThatMakeNoSense(Backend backend) {
    try (Sample sample = new Sample(backend, 10)) {
      Routes routes = Routes.allocate(sample.scope(), 3, 4, 2);
      Tensor logits = sample.normal(3, 4);
      GateSettings settings = GateSettings.dropless(2);
      logits.setFloat(6, Float.NaN);
      assertRefused("logits[1, 2] is nan", () -> forward(backend, settings, logits, routes));
      logits.setFloat(6, Float.POSITIVE_INFINITY);
      assertRefused("logits[1, 2] is inf", () -> forward(backend, settings, logits, routes));
      for (int e = 4; e < 8; e++) {
        logits.setFloat(e, Float.NEGATIVE_INFINITY);
      }
      assertRefused(
          "every logit of token 1 is -inf", () -> forward(backend, settings, logits, routes));
      Tensor fine = sample.normal(3, 4);
      assertRefused(
          "topK is 2, expected 1 to 1",
          () -> route(backend, sample, settings, sample.normal(3, 1)));
      assertRefused(
          "expert has shape [3, 2], expected [3, 1]",
          () -> forward(backend, GateSettings.dropless(1), fine, routes));
      assertRefused(
          "groups is 3, which does not divide 4 experts",
          () ->
              forward(
                  backend,
                  with(settings, Score.SOFTMAX, new Groups(3, 2, GroupScore.MAXIMUM), 0),
                  fine,
                  routes));
      assertRefused(
          "priority is null",
          () ->
              forward(
                  backend, settings(2, DropPolicy.PRIORITY, 1, Normalization.RAW), fine, routes));
      assertRefused(
          "capacity is -1",
          () ->
              forward(
                  backend, settings(2, DropPolicy.POSITION, -1, Normalization.RAW), fine, routes));
      assertRefused(
          "bias and noise are given together",
          () ->
              backend.gateForward(
                  settings,
                  new GateKernels.Inputs(fine, null, sample.normal(4), sample.normal(3, 4), null),
                  routes));
    }
  }

  /** Random settings, sizes and inputs; forward, then backward. */
  private static List<Tensor> randomCase(Backend on, Sample sample, int mostTokens) {
    int tokens = sample.between(1, mostTokens);
    int groups = sample.between(1, 4);
    int experts = groups * sample.between(1, 9);
    int chosenGroups = sample.between(1, groups);
    int topK = sample.between(1, Math.min(5, experts / groups * chosenGroups));
    GateSettings settings =
        new GateSettings(
            topK,
            pick(sample, Score.values()),
            new Groups(groups, chosenGroups, pick(sample, GroupScore.values())),
            sample.between(0, topK),
            new Queues(
                pick(sample, DropPolicy.values()),
                pick(sample, QueueOrder.values()),
                sample.between(0, 2 + 2 * tokens * topK / experts)),
            new Weighting(
                pick(sample, Normalization.values()),
                Math.ulp(1f),
                sample.between(0, 1) * 1e-3f,
                (float) (0.5 + sample.uniform())),
            sample.between(1, topK));
    Tensor logits = sample.normal(tokens, experts);
    Tensor used = sample.between(0, 1) == 0 ? null : sample.marks(0.8, tokens);
    int extra = sample.between(0, 2);
    Tensor bias = extra == 1 ? sample.normal(experts) : null;
    Tensor noise = extra == 2 ? sample.normal(tokens, experts) : null;
    Tensor priority = sample.normal(tokens, experts);
    Routes routes = Routes.allocate(sample.scope(), tokens, experts, topK);
    on.gateForward(settings, new GateKernels.Inputs(logits, used, bias, noise, priority), routes);
    Tensor dlogits = sample.unset(tokens, experts);
    on.gateBackward(
        settings,
        new GateKernels.Inputs(logits, used, null, null, null),
        routes,
        sample.normal(tokens, topK),
        new GateKernels.LossGradients(0.4f, 0.2f, null),
        dlogits);
    return List.of(
        routes.choice(),
        routes.expert(),
        routes.position(),
        routes.counts(),
        routes.offsets(),
        routes.scores(),
        routes.weight(),
        routes.losses(),
        dlogits);
  }

  private static <T> T pick(Sample sample, T[] values) {
    return values[sample.between(0, values.length - 1)];
  }

  private static Routes route(
      Backend backend, Sample sample, GateSettings settings, Tensor logits) {
    Routes routes =
        Routes.allocate(
            sample.scope(), logits.size(0), Math.toIntExact(logits.size(1)), settings.topK());
    forward(backend, settings, logits, routes);
    return routes;
  }

  private static void forward(
      Backend backend, GateSettings settings, Tensor logits, Routes routes) {
    backend.gateForward(settings, GateKernels.Inputs.of(logits), routes);
  }

  private static GateSettings with(
      GateSettings s, Score score, Groups groups, int noiseFirstChoice) {
    return new GateSettings(
        s.topK(), score, groups, noiseFirstChoice, s.queues(), s.weighting(), s.auxiliaryChoices());
  }
}
