package panamoe.backend;

import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
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

class CombineContractTest {

  /** Distant coefficients leave only the experts or the residual branch; equal ones halve both. */
  @EveryBackend
  void mixesTheResidualBranch(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Routes routes = RandomRoutes.of(sample, 11, 3, 2);
      Tensor rows = sample.normal(RandomRoutes.kept(routes), 5);
      Tensor mlp = sample.normal(11, 5);
      Tensor skip = sample.normal(11, 5);
      Tensor experts = sample.unset(11, 5);
      Tensor y = sample.unset(11, 5);
      Tensor expected = sample.unset(11, 5);
      backend.combineForward(new CombineKernels.Inputs(rows, null, null, null), routes, experts);
      backend.combineForward(
          new CombineKernels.Inputs(rows, mlp, coefficients(sample, 200, -200), null), routes, y);
      assertClose(experts, y, 1e-6);
      backend.combineForward(
          new CombineKernels.Inputs(rows, mlp, coefficients(sample, -200, 200), null), routes, y);
      assertClose(mlp, y, 1e-6);
      backend.add(0.5f, experts, 0.5f, mlp, expected);
      backend.add(1, expected, 1, skip, expected);
      backend.combineForward(
          new CombineKernels.Inputs(rows, mlp, coefficients(sample, 3, 3), skip), routes, y);
      assertClose(expected, y, 1e-6);
    }
  }

  @EveryBackend
  void aTokenWithoutRoutesGetsNothing(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Routes routes = RandomRoutes.of(sample, 6, 3, 2);
      routes.expert().set(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
      Tensor y = sample.unset(6, 5);
      backend.combineForward(
          new CombineKernels.Inputs(sample.normal(RandomRoutes.kept(routes), 5), null, null, null),
          routes,
          y);
      assertClose(new double[30], y, 0);
    }
  }

  @EveryBackend
  void gradientsMatchFiniteDifferences(Backend backend) {
    for (boolean residual : new boolean[] {false, true}) {
      try (Sample sample = new Sample(backend, 3)) {
        Routes routes = RandomRoutes.of(sample, 8, 4, 2);
        int kept = RandomRoutes.kept(routes);
        Tensor rows = sample.normal(kept, 5);
        Tensor mlp = residual ? sample.normal(8, 5) : null;
        Tensor coefficient = residual ? sample.normal(8, 2) : null;
        Tensor dy = sample.normal(8, 5);
        Tensor y = sample.unset(8, 5);
        Tensor drows = sample.unset(kept, 5);
        Tensor dweight = sample.unset(8, 2);
        Tensor dmlp = residual ? sample.unset(8, 5) : null;
        Tensor dcoefficient = residual ? sample.unset(8, 2) : null;
        backend.combineBackward(
            dy,
            new CombineKernels.Inputs(rows, mlp, coefficient, null),
            routes,
            new CombineKernels.Gradients(drows, dweight, dmlp, dcoefficient));
        Tensor[][] pairs = {
          {rows, drows}, {routes.weight(), dweight}, {mlp, dmlp}, {coefficient, dcoefficient}
        };
        for (Tensor[] pair : residual ? pairs : new Tensor[][] {pairs[0], pairs[1]}) {
          assertGradient(
              pair[0],
              pair[1],
              5e-4,
              () -> {
                backend.combineForward(
                    new CombineKernels.Inputs(rows, mlp, coefficient, null), routes, y);
                return dot(y, dy);
              });
        }
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      for (int seed = 0; seed < 10; seed++) {
        boolean residual = seed % 2 == 0;
        assertAgrees(backend, seed, 5e-6, (on, sample) -> randomCase(on, sample, dtype, residual));
        assertThreadInvariant(
            backend, seed, (on, sample) -> randomCase(on, sample, dtype, residual));
      }
    }
  }

  /**
   * A token's bits do not depend on other tokens: here it is combined alone, with its rows at other
   * indices.
   */
  @EveryBackend
  void aTokenDoesNotDependOnTheTokensBesideIt(Backend backend) {
    try (Sample sample = new Sample(backend, 4)) {
      Routes routes = RandomRoutes.of(sample, GateSettings.dropless(2), 31, 4);
      Tensor x = sample.normal(31, 37);
      Tensor rows = sample.unset(RandomRoutes.kept(routes), 37);
      Tensor y = sample.unset(31, 37);
      backend.dispatchForward(x, routes, rows);
      backend.combineForward(new CombineKernels.Inputs(rows, null, null, null), routes, y);
      for (int s = 0; s < 31; s++) {
        Routes own = Routes.allocate(sample.scope(), 1, 4, 2);
        backend.copy(routes.weight().rows(s, s + 1), own.weight());
        backend.copy(routes.expert().rows(s, s + 1), own.expert());
        own.position().set(0, 0);
        int[] offsets = new int[5];
        for (int e = 0; e < 4; e++) {
          boolean chosen = own.expert().getInt(0) == e || own.expert().getInt(1) == e;
          offsets[e + 1] = offsets[e] + (chosen ? 1 : 0);
        }
        own.offsets().set(offsets);
        Tensor ownRows = sample.unset(2, 37);
        Tensor ownY = sample.unset(1, 37);
        backend.dispatchForward(x.rows(s, s + 1), own, ownRows);
        backend.combineForward(new CombineKernels.Inputs(ownRows, null, null, null), own, ownY);
        assertSameBits(y.rows(s, s + 1), ownY);
      }
    }
  }

  @EveryBackend
  void refusesHalfAResidualBranch(Backend backend) {
    try (Sample sample = new Sample(backend, 5)) {
      Routes routes = RandomRoutes.of(sample, 6, 3, 2);
      Tensor rows = sample.normal(RandomRoutes.kept(routes), 5);
      Tensor y = sample.unset(6, 5);
      assertRefused(
          "coefficient",
          () ->
              backend.combineForward(
                  new CombineKernels.Inputs(rows, sample.normal(6, 5), null, null), routes, y));
      assertRefused(
          "coefficient has shape [6, 3], expected [6, 2]",
          () ->
              backend.combineForward(
                  new CombineKernels.Inputs(rows, sample.normal(6, 5), sample.normal(6, 3), null),
                  routes,
                  y));
      assertRefused(
          "rows has shape",
          () ->
              backend.combineForward(
                  new CombineKernels.Inputs(sample.normal(12, 4), null, null, null), routes, y));
    }
  }

  private static Tensor coefficients(Sample sample, float experts, float mlp) {
    Tensor coefficient = sample.unset(11, 2);
    for (int s = 0; s < 11; s++) {
      coefficient.setFloat(2 * s, experts);
      coefficient.setFloat(2 * s + 1, mlp);
    }
    return coefficient;
  }

  private static List<Tensor> randomCase(Backend on, Sample sample, DType dtype, boolean residual) {
    int tokens = sample.between(1, 300);
    int experts = sample.between(2, 9);
    int width = sample.between(1, 90);
    int topK = sample.between(1, Math.min(experts, 4));
    Routes routes = RandomRoutes.of(sample, tokens, experts, topK);
    int kept = RandomRoutes.kept(routes);
    Tensor rows = sample.normal(dtype, kept, width);
    Tensor skip = sample.normal(dtype, tokens, width);
    Tensor dy = sample.normal(dtype, tokens, width);
    Tensor y = sample.unset(dtype, tokens, width);
    Tensor drows = sample.unset(dtype, kept, width);
    Tensor dweight = sample.unset(tokens, topK);
    if (!residual) {
      on.combineForward(new CombineKernels.Inputs(rows, null, null, skip), routes, y);
      on.combineBackward(
          dy,
          new CombineKernels.Inputs(rows, null, null, null),
          routes,
          new CombineKernels.Gradients(drows, dweight, null, null));
      return List.of(y, drows, dweight);
    }
    Tensor mlp = sample.normal(dtype, tokens, width);
    Tensor coefficient = sample.normal(tokens, 2);
    Tensor dmlp = sample.unset(dtype, tokens, width);
    Tensor dcoefficient = sample.unset(tokens, 2);
    on.combineForward(new CombineKernels.Inputs(rows, mlp, coefficient, skip), routes, y);
    on.combineBackward(
        dy,
        new CombineKernels.Inputs(rows, mlp, coefficient, null),
        routes,
        new CombineKernels.Gradients(drows, dweight, dmlp, dcoefficient));
    return List.of(y, drows, dweight, dmlp, dcoefficient);
  }
}
