package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.Compare.assertClose;

import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Groups;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Queues;
import panamoe.backend.GateSettings.Score;
import panamoe.backend.GateSettings.Weighting;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

/**
 * Eight tokens and four experts, computed by an independent program by the rules of DeepSpeed's
 * three gates.
 */
class GateGoldenTest {
  private static final int TOKENS = 8;
  private static final int EXPERTS = 4;
  private static final float[] LOGITS = {
    2, 1, 0.1f, -1, 1.9f, 0.2f, 0.3f, 0, 1.5f, 1.4f, -0.5f, 0.2f, 2.5f, -0.3f, 0.8f, 0.4f, //
    0.1f, 1.7f, 0.6f, -0.2f, 0.9f, 0.3f, 1.8f, 0.5f, 1.2f, 0.7f, 0.4f, 1.1f, 0.2f, 0, 0.1f, 1.6f
  };
  private static final double TOLERANCE = 1e-6;

  @EveryBackend
  void top1KeepsTheHighestPriorities(Backend backend) {
    try (Sample sample = new Sample(backend, 0)) {
      Tensor descending = priority(sample, -1);
      Routes routes = route(backend, sample, 1, DropPolicy.PRIORITY, 2, 1, descending);
      assertArrayEquals(new int[] {0, 0, 0, 0, 1, 2, 0, 3}, routes.choice().toInts());
      assertArrayEquals(new int[] {5, 1, 1, 1}, routes.counts().toInts());
      assertArrayEquals(new int[] {0, 0, -1, -1, 1, 2, -1, 3}, routes.expert().toInts());
      assertArrayEquals(new int[] {0, 1, -1, -1, 0, 0, -1, 0}, routes.position().toInts());
      assertArrayEquals(new int[] {0, 2, 3, 4, 5}, routes.offsets().toInts());
      assertClose(
          new double[] {.638066, .651827, 0, 0, .593706, .525698, 0, .598221},
          routes.weight(),
          TOLERANCE);
      assertEquals(1.318314, routes.losses().getFloat(0), 2e-6);
      double[] means = new double[EXPERTS];
      for (int i = 0; i < TOKENS * EXPERTS; i++) {
        means[i % EXPERTS] += routes.scores().getFloat(i) / TOKENS;
      }
      assertArrayEquals(new double[] {.409157, .228277, .178483, .184082}, means, TOLERANCE);
    }
  }

  @EveryBackend
  void top1WithRisingPrioritiesKeepsTheLastTokens(Backend backend) {
    try (Sample sample = new Sample(backend, 0)) {
      Routes routes = route(backend, sample, 1, DropPolicy.PRIORITY, 2, 1, priority(sample, 1));
      assertArrayEquals(new int[] {-1, -1, -1, 0, 1, 2, 0, 3}, routes.expert().toInts());
      assertEquals(.732091, routes.weight().getFloat(3), TOLERANCE);
      assertEquals(.337758, routes.weight().getFloat(6), TOLERANCE);
    }
  }

  @EveryBackend
  void top2WithAmpleCapacity(Backend backend) {
    try (Sample sample = new Sample(backend, 0)) {
      Routes routes = route(backend, sample, 2, DropPolicy.POSITION, 4, 1, null);
      assertArrayEquals(new int[] {7, 3, 4, 2}, routes.counts().toInts());
      assertArrayEquals(
          new int[] {0, 1, 0, 2, 0, 1, 0, 2, 1, 2, 2, 0, 0, 3, 3, 0}, routes.choice().toInts());
      assertArrayEquals(
          new int[] {0, 1, 0, 2, 0, 1, 0, 2, 1, 2, 2, -1, -1, 3, 3, -1}, routes.expert().toInts());
      assertArrayEquals(new int[] {1, 1, 2, 2, 3, -1, 1, -1}, column(routes.position(), 1));
      assertClose(
          new double[] {
            .731059, .268941, .832018, .167982, .524979, .475021, .845535, .154465, //
            .750260, .249740, 1, 0, 0, 1, 1, 0
          },
          routes.weight(),
          TOLERANCE);
      assertEquals(1.318314, routes.losses().getFloat(0), 2e-6);
    }
  }

  @EveryBackend
  void top2WithScarceCapacity(Backend backend) {
    try (Sample sample = new Sample(backend, 0)) {
      Routes routes = route(backend, sample, 2, DropPolicy.POSITION, 2, 1, null);
      assertArrayEquals(
          new int[] {0, 1, 0, 2, -1, -1, -1, -1, 1, -1, 2, -1, -1, 3, 3, -1},
          routes.expert().toInts());
      assertClose(
          new double[] {.731059, .268941, .832018, .167982, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0},
          routes.weight(),
          TOLERANCE);
    }
  }

  @EveryBackend
  void top2WithoutDropsKeepsAllRoutes(Backend backend) {
    try (Sample sample = new Sample(backend, 0)) {
      Routes routes = route(backend, sample, 2, DropPolicy.DROPLESS, 0, 1, null);
      assertArrayEquals(routes.choice().toInts(), routes.expert().toInts());
      assertArrayEquals(new int[] {0, 7, 10, 14, 16}, routes.offsets().toInts());
    }
  }

  @EveryBackend
  void top3DropsTheLeastProbable(Backend backend) {
    try (Sample sample = new Sample(backend, 0)) {
      Routes routes = route(backend, sample, 3, DropPolicy.PROBABILITY, 3, 3, null);
      assertArrayEquals(new int[] {8, 5, 6, 5}, routes.counts().toInts());
      assertMask(routes, "1100 1000 0100 1010 0110 0011 0001 0001");
      assertEquals(1.067659, routes.losses().getFloat(0), 2e-6);
      assertEquals(.731059, weight(routes, 0, 0), TOLERANCE);
      assertEquals(.268941, weight(routes, 0, 1), TOLERANCE);
      assertEquals(.785835, weight(routes, 5, 2), TOLERANCE);
      assertEquals(.214165, weight(routes, 5, 3), TOLERANCE);
    }
  }

  @EveryBackend
  void top3DropsTheLast(Backend backend) {
    try (Sample sample = new Sample(backend, 0)) {
      Routes routes = route(backend, sample, 3, DropPolicy.POSITION, 3, 3, null);
      assertMask(routes, "1110 1110 1101 0011 0000 0001 0000 0000");
      assertEquals(.459270, weight(routes, 2, 0), TOLERANCE);
      assertEquals(.415565, weight(routes, 2, 1), TOLERANCE);
      assertEquals(.125166, weight(routes, 2, 3), TOLERANCE);
    }
  }

  private static Routes route(
      Backend backend,
      Sample sample,
      int topK,
      DropPolicy policy,
      long capacity,
      int auxiliary,
      Tensor priority) {
    GateSettings settings =
        new GateSettings(
            topK,
            Score.SOFTMAX,
            Groups.ONE,
            0,
            new Queues(
                policy, topK == 2 ? QueueOrder.CHOICE_MAJOR : QueueOrder.TOKEN_MAJOR, capacity),
            Weighting.of(topK == 1 ? Normalization.RAW : Normalization.SURVIVORS),
            auxiliary);
    Routes routes = Routes.allocate(sample.scope(), TOKENS, EXPERTS, topK);
    backend.gateForward(
        settings,
        new GateKernels.Inputs(sample.floats(LOGITS, TOKENS, EXPERTS), null, null, null, priority),
        routes);
    return routes;
  }

  /** Priorities that rise or fall with the token. */
  private static Tensor priority(Sample sample, int sign) {
    float[] values = new float[TOKENS * EXPERTS];
    for (int i = 0; i < values.length; i++) {
      values[i] = 0.5f + 0.01f * sign * (i / EXPERTS);
    }
    return sample.floats(values, TOKENS, EXPERTS);
  }

  private static int[] column(Tensor table, int k) {
    int[] values = new int[TOKENS];
    for (int s = 0; s < TOKENS; s++) {
      values[s] = table.getInt(s * table.size(1) + k);
    }
    return values;
  }

  private static double weight(Routes routes, int s, int expert) {
    for (int k = 0; k < routes.topK(); k++) {
      if (routes.expert().getInt((long) s * routes.topK() + k) == expert) {
        return routes.weight().getFloat((long) s * routes.topK() + k);
      }
    }
    return 0;
  }

  /** The experts that keep a route of each token. */
  private static void assertMask(Routes routes, String expected) {
    StringBuilder mask = new StringBuilder();
    for (int s = 0; s < TOKENS; s++) {
      char[] row = {'0', '0', '0', '0'};
      for (int k = 0; k < routes.topK(); k++) {
        int e = routes.expert().getInt((long) s * routes.topK() + k);
        if (e >= 0) {
          row[e] = '1';
        }
      }
      mask.append(s == 0 ? "" : " ").append(row);
    }
    assertEquals(expected, mask.toString());
  }
}
