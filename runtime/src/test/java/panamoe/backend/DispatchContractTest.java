package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertThreadInvariant;
import static panamoe.testkit.FiniteDifference.assertGradient;
import static panamoe.testkit.FiniteDifference.dot;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.RandomRoutes;
import panamoe.testkit.Sample;

class DispatchContractTest {

  /**
   * The row of a kept route, offsets[expert] + position, is its token's; a row without a route
   * keeps its value.
   */
  @EveryBackend
  void copiesTokensToTheirRows(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Routes routes = RandomRoutes.of(sample, 23, 5, 2);
      int kept = RandomRoutes.kept(routes);
      Tensor x = sample.normal(23, 6);
      Tensor rows = sample.unset(kept + 3, 6);
      backend.dispatchForward(x, routes, rows);
      int routed = 0;
      for (int i = 0; i < routes.expert().count(); i++) {
        int e = routes.expert().getInt(i);
        if (e >= 0) {
          routed++;
          long row = routes.offsets().getInt(e) + routes.position().getInt(i);
          for (int m = 0; m < 6; m++) {
            assertEquals(x.getFloat(i / 2 * 6 + m), rows.getFloat(row * 6 + m));
          }
        }
      }
      assertEquals(kept, routed);
      assertEquals(Float.NaN, rows.getFloat(kept * 6L));
      assertEquals(Float.NaN, rows.getFloat((kept + 3) * 6L - 1));
    }
  }

  @EveryBackend
  void gradientMatchesFiniteDifferences(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Routes routes = RandomRoutes.of(sample, 9, 4, 2);
      int kept = RandomRoutes.kept(routes);
      Tensor x = sample.normal(9, 3);
      Tensor rows = sample.unset(kept, 3);
      Tensor drows = sample.normal(kept, 3);
      Tensor dx = sample.unset(9, 3);
      backend.dispatchBackward(drows, routes, dx);
      assertGradient(
          x,
          dx,
          1e-4,
          () -> {
            backend.dispatchForward(x, routes, rows);
            return dot(rows, drows);
          });
    }
  }

  @EveryBackend
  void noTokensGiveNoRows(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      Routes routes = RandomRoutes.of(sample, 0, 4, 2);
      Tensor rows = sample.unset(1, 3);
      backend.dispatchForward(sample.normal(0, 3), routes, rows);
      assertClose(new double[] {Double.NaN, Double.NaN, Double.NaN}, rows, 0);
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      for (int seed = 0; seed < 10; seed++) {
        assertAgrees(backend, seed, 1e-6, (on, sample) -> randomCase(on, sample, dtype));
        assertThreadInvariant(backend, seed, (on, sample) -> randomCase(on, sample, dtype));
      }
    }
  }

  @EveryBackend
  void refusesRoutesThatLeadOutside(Backend backend) {
    try (Sample sample = new Sample(backend, 4)) {
      Routes routes = RandomRoutes.of(sample, 12, 3, 1);
      int kept = RandomRoutes.kept(routes);
      Tensor x = sample.normal(12, 4);
      assertRefused(
          "past the " + (kept - 1) + " rows",
          () -> backend.dispatchForward(x, routes, sample.unset(kept - 1, 4)));
      assertRefused(
          "rows has shape", () -> backend.dispatchForward(x, routes, sample.unset(kept, 5)));
      routes.expert().setInt(0, 3);
      assertRefused(
          "expert[0, 0] is 3, expected -1 or 0 to 2",
          () -> backend.dispatchForward(x, routes, sample.unset(kept, 4)));
      routes.expert().setInt(0, 0);
      routes.position().setInt(0, 1000);
      assertRefused(
          "position[0, 0] is 1000",
          () -> backend.dispatchBackward(sample.normal(kept, 4), routes, sample.unset(12, 4)));
      routes.offsets().setInt(0, 1);
      assertRefused(
          "offsets[0] is 1, expected 0",
          () -> backend.dispatchForward(x, routes, sample.unset(kept, 4)));
    }
  }

  private static List<Tensor> randomCase(Backend on, Sample sample, DType dtype) {
    int tokens = sample.between(1, 300);
    int experts = sample.between(2, 9);
    int width = sample.between(1, 90);
    Routes routes =
        RandomRoutes.of(sample, tokens, experts, sample.between(1, Math.min(experts, 4)));
    int kept = RandomRoutes.kept(routes);
    Tensor rows = sample.unset(dtype, kept + 2, width);
    Tensor dx = sample.unset(dtype, tokens, width);
    on.dispatchForward(sample.normal(dtype, tokens, width), routes, rows);
    on.dispatchBackward(sample.normal(dtype, kept, width), routes, dx);
    return List.of(rows, dx);
  }
}
