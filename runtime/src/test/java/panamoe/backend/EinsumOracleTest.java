package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.Compare.assertClose;

import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.Normalization;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.RandomRoutes;
import panamoe.testkit.Sample;

/**
 * The table of routes against the dense formulation that it replaces (DeepSpeed-MoE, section 5.4):
 * a one-hot tensor combine[s, e, c], and
 *
 * <pre>
 *   dispatched[e, c, m] = sum_s (combine[s, e, c] != 0) x[s, m]
 *   y[s, m] = sum_ec combine[s, e, c] f_e(dispatched[e, c, m])
 * </pre>
 */
class EinsumOracleTest {
  private static final int CASES = 10_000;

  /** Each takes milliseconds there. */
  private static final int EMULATED_CASES = Boolean.getBoolean("panamoe.test.long") ? CASES : 1000;

  @EveryBackend
  void tableOfRoutesEqualsTheDenseFormulation(Backend backend) {
    int cases = backend.name().equals("simt") ? EMULATED_CASES : CASES;
    for (int seed = 0; seed < cases; seed++) {
      try (Sample sample = new Sample(backend, seed)) {
        checkCase(backend, sample);
      }
    }
  }

  private static void checkCase(Backend backend, Sample sample) {
    int tokens = sample.between(1, 12);
    int experts = sample.between(1, 6);
    int topK = sample.between(1, Math.min(3, experts));
    int width = sample.between(1, 4);
    double capacityFactor = 0.25 + 2 * sample.uniform();
    int capacity = (int) Math.ceil(capacityFactor * topK * tokens / experts);
    DropPolicy[] policies = {DropPolicy.POSITION, DropPolicy.PROBABILITY, DropPolicy.PRIORITY};
    Normalization normalization = Normalization.values()[sample.between(0, 2)];
    GateSettings settings =
        RandomRoutes.settings(topK, policies[sample.between(0, 2)], capacity, normalization);
    Tensor used = sample.between(0, 1) == 0 ? null : sample.marks(0.7, tokens);
    Tensor priority = sample.normal(tokens, experts);
    Routes routes = Routes.allocate(sample.scope(), tokens, experts, topK);
    backend.gateForward(
        settings,
        new GateKernels.Inputs(sample.normal(tokens, experts), used, null, null, priority),
        routes);

    // Row r of the buffer belongs to slot (e, c) of the dense formulation, c = r - offsets[e].
    int[] offsets = routes.offsets().toInts();
    int kept = offsets[experts];
    Integer[][] tokenOfSlot = new Integer[experts][capacity];
    double[][][] combine = new double[tokens][experts][capacity];
    for (int i = 0; i < tokens * topK; i++) {
      int e = routes.expert().getInt(i);
      int c = routes.position().getInt(i);
      double weight = routes.weight().getFloat(i);
      assertEquals(e < 0, c < 0);
      if (e < 0) {
        assertEquals(0, weight);
      } else {
        assertTrue(used == null || used.getFloat(i / topK) == 1, "padding was routed");
        assertTrue(c < capacity, "position past the capacity");
        assertNull(tokenOfSlot[e][c], "two tokens in one slot");
        tokenOfSlot[e][c] = i / topK;
        combine[i / topK][e][c] = weight;
      }
    }
    for (int e = 0; e < experts; e++) {
      int asked = routes.counts().getInt(e);
      assertEquals(Math.min(asked, capacity), offsets[e + 1] - offsets[e], "routes kept");
    }

    Tensor x = sample.normal(tokens, width);
    Tensor rows = sample.unset(kept, width);
    Tensor y = sample.unset(tokens, width);
    backend.dispatchForward(x, routes, rows);
    double[] dispatched = new double[kept * width];
    double[] expected = new double[tokens * width];
    for (int e = 0; e < experts; e++) {
      for (int c = 0; c < offsets[e + 1] - offsets[e]; c++) {
        for (int m = 0; m < width; m++) {
          double value = 0;
          for (int s = 0; s < tokens; s++) {
            value += combine[s][e][c] != 0 ? x.getFloat((long) s * width + m) : 0;
          }
          dispatched[(offsets[e] + c) * width + m] = value;
          for (int s = 0; s < tokens; s++) {
            expected[s * width + m] += combine[s][e][c] * expert(e, value);
          }
        }
      }
    }
    assertClose(dispatched, rows, 0);
    for (int e = 0; e < experts; e++) {
      for (long i = (long) offsets[e] * width; i < (long) offsets[e + 1] * width; i++) {
        rows.setFloat(i, (float) expert(e, rows.getFloat(i)));
      }
    }
    backend.combineForward(new CombineKernels.Inputs(rows, null, null, null), routes, y);
    assertClose(expected, y, 1e-6);
  }

  /** A different map for each expert, exact in float32. */
  private static double expert(int e, double value) {
    return (e % 2 == 0 ? 1 : -1) * value * Math.pow(2, e);
  }
}
