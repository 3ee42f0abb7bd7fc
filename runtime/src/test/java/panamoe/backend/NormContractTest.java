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
import panamoe.testkit.Sample;

class NormContractTest {
  private static final float EPSILON = 1e-5f;

  /** Row (1, 3): mean 2, variance 1; mean square 5. */
  @EveryBackend
  void normalisesASmallRow(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor x = sample.floats(new float[] {1, 3}, 1, 2);
      Tensor gamma = sample.floats(new float[] {2, 10}, 2);
      Tensor beta = sample.floats(new float[] {0.5f, -1}, 2);
      Tensor y = sample.unset(1, 2);
      Tensor mean = sample.unset(1);
      Tensor rstd = sample.unset(1);
      backend.layerNormForward(new NormKernels.Norm(gamma, beta, 0, mean, rstd), x, y);
      assertClose(new double[] {-1.5, 9}, y, 1e-6);
      assertClose(new double[] {2}, mean, 1e-6);
      assertClose(new double[] {1}, rstd, 1e-6);
      backend.rmsNormForward(new NormKernels.Norm(gamma, null, 4, null, rstd), x, y);
      assertClose(new double[] {2.0 / 3, 10}, y, 1e-6);
      assertClose(new double[] {1.0 / 3}, rstd, 1e-6);
      backend.rmsNormForward(new NormKernels.Norm(gamma, null, 4, null, rstd, 1), x, y);
      assertClose(new double[] {1, 11}, y, 1e-6);
    }
  }

  @EveryBackend
  void layerNormGradientsMatchFiniteDifferences(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor x = sample.normal(4, 7);
      Tensor gamma = sample.normal(7);
      Tensor beta = sample.normal(7);
      Tensor dy = sample.normal(4, 7);
      Tensor y = sample.unset(4, 7);
      Tensor mean = sample.unset(4);
      Tensor rstd = sample.unset(4);
      Tensor dx = sample.unset(4, 7);
      Tensor dgamma = sample.scope().zeros(DType.FLOAT32, 7);
      Tensor dbeta = sample.scope().zeros(DType.FLOAT32, 7);
      backend.layerNormForward(new NormKernels.Norm(gamma, beta, EPSILON, mean, rstd), x, y);
      backend.layerNormBackward(
          new NormKernels.Norm(gamma, null, 0, mean, rstd), x, dy, dx, dgamma, dbeta);
      for (Tensor[] pair : new Tensor[][] {{x, dx}, {gamma, dgamma}, {beta, dbeta}}) {
        assertGradient(
            pair[0],
            pair[1],
            1e-3,
            () -> {
              backend.layerNormForward(
                  new NormKernels.Norm(gamma, beta, EPSILON, null, null), x, y);
              return dot(y, dy);
            });
      }
    }
  }

  @EveryBackend
  void rmsNormGradientsMatchFiniteDifferences(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      Tensor x = sample.normal(4, 7);
      Tensor gamma = sample.normal(7);
      Tensor dy = sample.normal(4, 7);
      Tensor y = sample.unset(4, 7);
      Tensor rstd = sample.unset(4);
      Tensor dx = sample.unset(4, 7);
      Tensor dgamma = sample.scope().zeros(DType.FLOAT32, 7);
      backend.rmsNormForward(new NormKernels.Norm(gamma, null, EPSILON, null, rstd), x, y);
      backend.rmsNormBackward(new NormKernels.Norm(gamma, null, 0, null, rstd), x, dy, dx, dgamma);
      for (Tensor[] pair : new Tensor[][] {{x, dx}, {gamma, dgamma}}) {
        assertGradient(
            pair[0],
            pair[1],
            1e-3,
            () -> {
              backend.rmsNormForward(new NormKernels.Norm(gamma, null, EPSILON, null, null), x, y);
              return dot(y, dy);
            });
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      for (int width : new int[] {1, 7, 64, 515}) {
        assertAgrees(backend, width, 2e-5, (on, sample) -> layerNorm(on, sample, dtype, 83, width));
        assertAgrees(backend, width, 2e-5, (on, sample) -> rmsNorm(on, sample, dtype, 83, width));
      }
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    assertThreadInvariant(
        backend, 4, (on, sample) -> layerNorm(on, sample, DType.FLOAT32, 517, 129));
    assertThreadInvariant(backend, 4, (on, sample) -> rmsNorm(on, sample, DType.FLOAT32, 517, 129));
  }

  @EveryBackend
  void aRowDoesNotDependOnTheRowsBesideIt(Backend backend) {
    try (Sample sample = new Sample(backend, 5)) {
      Tensor x = sample.normal(67, 33);
      Tensor gamma = sample.normal(33);
      Tensor y = sample.unset(67, 33);
      Tensor alone = sample.unset(1, 33);
      backend.layerNormForward(new NormKernels.Norm(gamma, gamma, EPSILON, null, null), x, y);
      backend.layerNormForward(
          new NormKernels.Norm(gamma, gamma, EPSILON, null, null), x.rows(41, 42), alone);
      assertSameBits(y.rows(41, 42), alone);
      backend.rmsNormForward(new NormKernels.Norm(gamma, null, EPSILON, null, null), x, y);
      backend.rmsNormForward(
          new NormKernels.Norm(gamma, null, EPSILON, null, null), x.rows(41, 42), alone);
      assertSameBits(y.rows(41, 42), alone);
    }
  }

  @EveryBackend
  void refusesWrongShapes(Backend backend) {
    try (Sample sample = new Sample(backend, 6)) {
      Tensor x = sample.normal(2, 3);
      Tensor gamma = sample.normal(4);
      assertRefused(
          "gamma has shape [4], expected [3]",
          () ->
              backend.rmsNormForward(
                  new NormKernels.Norm(gamma, null, EPSILON, null, null), x, sample.unset(2, 3)));
      assertRefused(
          "epsilon",
          () ->
              backend.rmsNormForward(
                  new NormKernels.Norm(sample.normal(3), null, -1, null, null),
                  x,
                  sample.unset(2, 3)));
      assertRefused(
          "at least one column",
          () ->
              backend.rmsNormForward(
                  new NormKernels.Norm(sample.normal(0), null, EPSILON, null, null),
                  sample.normal(2, 0),
                  sample.unset(2, 0)));
    }
  }

  private static List<Tensor> layerNorm(
      Backend on, Sample sample, DType dtype, long rows, long width) {
    Tensor x = sample.normal(dtype, rows, width);
    Tensor gamma = sample.normal(width);
    Tensor y = sample.unset(dtype, rows, width);
    Tensor mean = sample.unset(rows);
    Tensor rstd = sample.unset(rows);
    Tensor dx = sample.unset(dtype, rows, width);
    Tensor dgamma = sample.normal(width);
    Tensor dbeta = sample.normal(width);
    on.layerNormForward(new NormKernels.Norm(gamma, sample.normal(width), 1e-2f, mean, rstd), x, y);
    on.layerNormBackward(
        new NormKernels.Norm(gamma, null, 0, mean, rstd),
        x,
        sample.normal(dtype, rows, width),
        dx,
        dgamma,
        dbeta);
    return List.of(y, mean, rstd, dx, dgamma, dbeta);
  }

  private static List<Tensor> rmsNorm(
      Backend on, Sample sample, DType dtype, long rows, long width) {
    Tensor x = sample.normal(dtype, rows, width);
    Tensor gamma = sample.normal(width);
    Tensor y = sample.unset(dtype, rows, width);
    Tensor rstd = sample.unset(rows);
    Tensor dx = sample.unset(dtype, rows, width);
    Tensor dgamma = sample.normal(width);
    float offset = sample.between(0, 1);
    on.rmsNormForward(new NormKernels.Norm(gamma, null, 1e-2f, null, rstd, offset), x, y);
    on.rmsNormBackward(
        new NormKernels.Norm(gamma, null, 0, null, rstd, offset),
        x,
        sample.normal(dtype, rows, width),
        dx,
        dgamma);
    return List.of(y, rstd, dx, dgamma);
  }
}
