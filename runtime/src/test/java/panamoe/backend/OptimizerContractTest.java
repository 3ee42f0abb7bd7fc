package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.Compare.assertThreadInvariant;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class OptimizerContractTest {

  /** After the decay, the first step moves by the learning rate for any gradient. */
  @EveryBackend
  void firstStepIsTheLearningRate(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor parameter = sample.floats(new float[] {1, -2, 4}, 3);
      Tensor gradient = sample.floats(new float[] {8, -0.25f, 0}, 3);
      Tensor first = sample.scope().zeros(DType.FLOAT32, 3);
      Tensor second = sample.scope().zeros(DType.FLOAT32, 3);
      Tensor copy = sample.unset(DType.BFLOAT16, 3);
      backend.adamwStep(
          new OptimizerKernels.AdamW(0.1f, 0.9f, 0.99f, 0, 0.5f, 0.5f, 1),
          parameter,
          gradient,
          first,
          second,
          copy);
      // The third has gradient 0 and epsilon 0: 0 / 0.
      assertClose(new double[] {0.95 - 0.1, -1.9 + 0.1, Double.NaN}, parameter, 1e-6);
      assertClose(new double[] {0.4, -0.0125, 0}, first, 1e-6);
      assertClose(new double[] {0.16, 0.00015625, 0}, second, 1e-6);
      Tensor rounded = sample.unset(DType.BFLOAT16, 3);
      backend.cast(parameter, rounded);
      assertSameBits(rounded.rows(0, 2), copy.rows(0, 2));
    }
  }

  /** Two steps by hand: g = 1, then -1, with beta 0.5 and 0.75. */
  @EveryBackend
  void correctsTheBiasOfTheMoments(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor parameter = sample.floats(new float[] {0}, 1);
      Tensor first = sample.scope().zeros(DType.FLOAT32, 1);
      Tensor second = sample.scope().zeros(DType.FLOAT32, 1);
      for (int step = 1; step <= 2; step++) {
        Tensor gradient = sample.floats(new float[] {step == 1 ? 1 : -1}, 1);
        backend.adamwStep(
            new OptimizerKernels.AdamW(1, 0.5f, 0.75f, 1e-8f, 0, 1, step),
            parameter,
            gradient,
            first,
            second,
            null);
      }
      // m = 0.5 * 0.5 - 0.5 = -0.25 over 0.75; v = 0.75 * 0.25 + 0.25 = 0.4375 over 0.4375.
      assertClose(new double[] {-0.25}, first, 1e-6);
      assertClose(new double[] {0.4375}, second, 1e-6);
      assertClose(new double[] {-1 + 1.0 / 3}, parameter, 1e-6);
    }
  }

  @EveryBackend
  void squareSumAddsAndKeepsInfinity(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      Tensor sum = sample.unset(1);
      backend.squareSum(sample.floats(new float[] {3, -4, 12}, 3), sum);
      assertEquals(169, sum.getFloat(0));
      backend.squareSum(sample.floats(new float[] {3, Float.NaN}, 2), sum);
      assertEquals(Float.NaN, sum.getFloat(0));
      backend.squareSum(sample.normal(0), sum);
      assertEquals(0, sum.getFloat(0));
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (int count : new int[] {1, 31, 10_007}) {
      assertAgrees(backend, count, 2e-6, (on, sample) -> steps(on, sample, count));
      assertAgrees(
          backend, count, 2e-7, (on, sample) -> squareSum(on, sample, DType.FLOAT32, count));
      assertAgrees(
          backend, count, 2e-7, (on, sample) -> squareSum(on, sample, DType.BFLOAT16, count));
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    assertThreadInvariant(backend, 4, (on, sample) -> steps(on, sample, 300_007));
    assertThreadInvariant(
        backend, 5, (on, sample) -> squareSum(on, sample, DType.FLOAT32, 300_007));
  }

  @EveryBackend
  void refusesSettingsThatMakeNoSense(Backend backend) {
    try (Sample sample = new Sample(backend, 6)) {
      Tensor x = sample.normal(3);
      assertRefused(
          "step is 0",
          () ->
              backend.adamwStep(
                  new OptimizerKernels.AdamW(0.1f, 0.9f, 0.99f, 1e-8f, 0, 1, 0),
                  x,
                  sample.normal(3),
                  sample.normal(3),
                  sample.normal(3),
                  null));
      assertRefused(
          "beta1 is 1",
          () ->
              backend.adamwStep(
                  new OptimizerKernels.AdamW(0.1f, 1, 0.99f, 1e-8f, 0, 1, 1),
                  x,
                  sample.normal(3),
                  sample.normal(3),
                  sample.normal(3),
                  null));
      assertRefused(
          "gradient",
          () ->
              backend.adamwStep(
                  new OptimizerKernels.AdamW(0.1f, 0.9f, 0.99f, 1e-8f, 0, 1, 1),
                  x,
                  sample.normal(4),
                  sample.normal(3),
                  sample.normal(3),
                  null));
      assertRefused(
          "sum has shape [3], expected [1]", () -> backend.squareSum(x, sample.normal(3)));
    }
  }

  private static List<Tensor> steps(Backend on, Sample sample, int count) {
    Tensor parameter = sample.normal(count);
    Tensor first = sample.scope().zeros(DType.FLOAT32, count);
    Tensor second = sample.scope().zeros(DType.FLOAT32, count);
    Tensor copy = sample.unset(DType.BFLOAT16, count);
    for (int step = 1; step <= 3; step++) {
      on.adamwStep(
          new OptimizerKernels.AdamW(1e-2f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.7f, step),
          parameter,
          sample.normal(count),
          first,
          second,
          copy);
    }
    return List.of(parameter, first, second, copy);
  }

  private static List<Tensor> squareSum(Backend on, Sample sample, DType dtype, int count) {
    Tensor sum = sample.unset(1);
    on.squareSum(sample.normal(dtype, count), sum);
    return List.of(sum);
  }
}
