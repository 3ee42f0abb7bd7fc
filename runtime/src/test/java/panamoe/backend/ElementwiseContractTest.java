package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
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

class ElementwiseContractTest {
  private static final double TOLERANCE = 2e-6;

  @EveryBackend
  void fillsCastsCopiesAndAdds(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor x = sample.normal(3, 7);
      Tensor y = sample.normal(3, 7);
      Tensor sum = sample.unset(3, 7);
      backend.add(2, x, -0.5f, y, sum);
      double[] expected = new double[21];
      for (int i = 0; i < expected.length; i++) {
        expected[i] = 2.0 * x.getFloat(i) - 0.5 * y.getFloat(i);
      }
      assertClose(expected, sum, 1e-6);
      backend.copy(x, sum);
      assertSameBits(x, sum);
      backend.add(2, x, -0.5f, y, x);
      assertClose(expected, x, 1e-6);
      backend.fill(0.75f, sum);
      assertEquals(0.75f, sum.getFloat(20));
    }
  }

  @EveryBackend
  void bfloat16RoundsToNearestEven(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      float ulp = 0x1p-7f;
      Tensor x =
          sample.floats(
              new float[] {1 + ulp / 2, 1 + 3 * ulp / 2, 1 + 0.51f * ulp, -0.0f, Float.NaN}, 5);
      Tensor y = sample.unset(DType.BFLOAT16, 5);
      backend.cast(x, y);
      Tensor expected =
          sample.unset(DType.BFLOAT16, 5).set(1, 1 + 2 * ulp, 1 + ulp, -0.0f, Float.NaN);
      for (int i = 0; i < 5; i++) {
        assertEquals(expected.getFloat(i), y.getFloat(i));
      }
    }
  }

  /** Values to twelve digits from tables of the normal distribution and from the definitions. */
  @EveryBackend
  void activationsHaveKnownValues(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      Tensor x = sample.floats(new float[] {-3, -1, 0, 0.5f, 2, 20}, 1, 6);
      Tensor y = sample.unset(1, 6);
      backend.activationForward(Activation.GELU, x, y);
      assertClose(
          new double[] {-0.004049694097, -0.158655253931, 0, 0.345731230631, 1.954499736104, 20},
          y,
          TOLERANCE);
      backend.activationForward(Activation.GELU_TANH, x, y);
      assertClose(
          new double[] {-0.003637392082, -0.158808009234, 0, 0.345714009668, 1.954597694087, 20},
          y,
          TOLERANCE);
      backend.activationForward(Activation.SILU, x, y);
      assertClose(
          new double[] {
            -0.142277619655, -0.268941421370, 0, 0.311229665600, 1.761594155956, 19.999999958777
          },
          y,
          TOLERANCE);
      backend.activationForward(Activation.RELU, x, y);
      assertClose(new double[] {0, 0, 0, 0.5, 2, 20}, y, 0);
      backend.activationForward(Activation.IDENTITY, x, y);
      assertClose(new double[] {-3, -1, 0, 0.5, 2, 20}, y, 0);
      Tensor halves = sample.unset(1, 3);
      backend.activationForward(Activation.SWIGLU, x, halves);
      assertClose(new double[] {-0.142277619655 * 0.5, -0.268941421370 * 2, 0}, halves, TOLERANCE);
      backend.activationForward(Activation.GEGLU_TANH, x, halves);
      assertClose(new double[] {-0.003637392082 * 0.5, -0.158808009234 * 2, 0}, halves, TOLERANCE);
      backend.softCap(2, x, y);
      assertClose(
          new double[] {-1.810296507290, -0.924234314520, 0, 0.489837324807, 1.523188311912, 2},
          y,
          1e-6);
    }
  }

  /** GPT-OSS: (clamp(u) + 1) g' sigmoid(1.702 g') with g' = min(g, 7). */
  @EveryBackend
  void clampedSwigluBoundsBothHalves(Backend backend) {
    Activation activation = Activation.clampedSwiglu(7, 1.702f, 1);
    try (Sample sample = new Sample(backend, 9)) {
      Tensor x = sample.floats(new float[] {1, 2, 9, -9, -30, 8}, 3, 2);
      Tensor y = sample.unset(3, 1);
      backend.activationForward(activation, x, y);
      double atLimit = 7 / (1 + Math.exp(-1.702 * 7));
      assertClose(
          new double[] {
            3 / (1 + Math.exp(-1.702)), -6 * atLimit, 8 * -30 / (1 + Math.exp(1.702 * 30))
          },
          y,
          1e-5);
      Tensor dx = sample.unset(3, 2);
      backend.activationBackward(activation, x, sample.floats(new float[] {1, 1, 1}, 3, 1), dx);
      double s = 1 / (1 + Math.exp(-1.702));
      assertClose(new double[] {3 * s * (1 + 1.702 * (1 - s)), s, 0, 0, 0, 0}, dx, 1e-5);
    }
  }

  @EveryBackend
  void activationGradientsMatchFiniteDifferences(Backend backend) {
    for (Activation activation : Activation.BUILT_IN) {
      try (Sample sample = new Sample(backend, 4)) {
        int width = 6 * activation.inputsPerOutput();
        Tensor x = sample.awayFromZero(3, width);
        Tensor dy = sample.normal(3, 6);
        Tensor y = sample.unset(3, 6);
        Tensor dx = sample.unset(3, width);
        backend.activationBackward(activation, x, dy, dx);
        assertGradient(
            x,
            dx,
            5e-4,
            () -> {
              backend.activationForward(activation, x, y);
              return dot(y, dy);
            });
        backend.activationBackward(activation, x, dy, x);
        assertSameBits(dx, x);
      }
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      for (Activation activation : Activation.BUILT_IN) {
        assertAgrees(
            backend, 5, TOLERANCE, (on, sample) -> activate(on, sample, activation, dtype, 13, 70));
      }
      assertAgrees(
          backend,
          6,
          TOLERANCE,
          (on, sample) -> {
            Tensor a = sample.normal(dtype, 1003);
            Tensor b = sample.normal(1003);
            Tensor y = sample.unset(dtype, 1003);
            on.add(0.3f, a, 1.7f, b, y);
            Tensor wide = sample.unset(1003);
            on.cast(a, wide);
            Tensor clamped = sample.unset(dtype, 1003);
            on.clampForward(0.5f, b, clamped);
            Tensor gradient = sample.unset(1003);
            on.clampBackward(0.5f, a, b, gradient);
            Tensor exponential = sample.unset(dtype, 1003);
            on.expForward(0.5f, b, exponential);
            Tensor slope = sample.unset(1003);
            on.expBackward(0.5f, a, b, slope);
            Tensor capped = sample.unset(dtype, 1003);
            on.softCap(0.7f, b, capped);
            return List.of(y, wide, clamped, gradient, exponential, slope, capped);
          });
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    for (Activation activation : Activation.BUILT_IN) {
      assertThreadInvariant(
          backend, 7, (on, sample) -> activate(on, sample, activation, DType.FLOAT32, 301, 258));
    }
  }

  @EveryBackend
  void refusesWrongShapes(Backend backend) {
    try (Sample sample = new Sample(backend, 8)) {
      Tensor x = sample.normal(3, 5);
      Tensor wrong = sample.normal(3, 4);
      assertRefused("y of shape [3, 4] has 12 elements, expected 15", () -> backend.cast(x, wrong));
      assertRefused("b of shape [3, 4]", () -> backend.add(1, x, 1, wrong, x));
      assertRefused("even number", () -> backend.activationForward(Activation.SWIGLU, x, wrong));
      assertRefused(
          "y has shape [3, 4], expected [3, 5]",
          () -> backend.activationForward(Activation.RELU, x, wrong));
      assertRefused(
          "y is int32, expected float32 or bfloat16",
          () -> backend.fill(1, sample.integers(0, 9, 4)));
      assertRefused("x is null", () -> backend.cast(null, x));
      assertRefused("bound is -1", () -> backend.clampForward(-1, x, x));
      assertRefused("dy of shape [3, 4]", () -> backend.clampBackward(1, x, wrong, x));
      assertRefused("bound is 89", () -> backend.expForward(89, x, x));
      assertRefused("dy of shape [3, 4]", () -> backend.expBackward(1, x, wrong, x));
      assertRefused("share memory", () -> backend.cast(x.rows(0, 2), x.rows(1, 3)));
    }
  }

  private static List<Tensor> activate(
      Backend on, Sample sample, Activation activation, DType dtype, long rows, long width) {
    Tensor x = sample.normal(dtype, rows, width);
    Tensor dy = sample.normal(dtype, rows, width / activation.inputsPerOutput());
    Tensor y = sample.unset(dtype, rows, width / activation.inputsPerOutput());
    Tensor dx = sample.unset(dtype, rows, width);
    on.activationForward(activation, x, y);
    on.activationBackward(activation, x, dy, dx);
    return List.of(y, dx);
  }
}
