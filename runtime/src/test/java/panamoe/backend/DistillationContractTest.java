package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertThreadInvariant;

import java.util.List;
import panamoe.backend.LossKernels.Teacher;
import panamoe.backend.LossKernels.Tokens;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class DistillationContractTest {
  private static final double TOLERANCE = 2e-5;
  // With BFLOAT16 the CPU rounds the gradient of the logits, by 2^-8 of itself.
  private static final double ROUNDED_TOLERANCE = 0x1p-7;

  /** At temperature 2 the teacher's probabilities are 1/4 and 3/4, the student's 1/2 and 1/2. */
  @EveryBackend
  void equalsItsDefinition(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      float three = (float) (2 * Math.log(3));
      Tensor losses = sample.unset(2);
      Tensor divergences = sample.unset(2);
      Tensor dhidden = sample.unset(2, 2);
      backend.linearDistillation(
          new Tokens(sample.integers(new int[] {0, -1}), 0, 0.5f, losses, 0),
          new Teacher(
              2, 4, sample.floats(new float[] {0, three, 5, 6}, 2, 2), null, divergences, 0),
          sample.floats(new float[4], 2, 2),
          sample.floats(new float[] {1, 0, 0, 1}, 2, 2),
          dhidden,
          sample.scope().zeros(DType.FLOAT32, 2, 2));
      assertClose(new double[] {Math.log(2), 0}, losses, 1e-6);
      double divergence = 0.25 * Math.log(0.5) + 0.75 * Math.log(1.5);
      assertClose(new double[] {divergence, 0}, divergences, 1e-6);
      // 0.5 (q - [v = 0] + 4 / 2 (q - p))
      assertClose(new double[] {0, 0, 0, 0}, dhidden, 1e-6);
    }
  }

  @EveryBackend
  void classesThatTheTeacherRulesOutAddNothingAndNaNShows(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      float out = Float.NEGATIVE_INFINITY;
      float[] logits = {0, out, out, Float.NaN, 0, 0};
      Tensor divergences = sample.unset(2);
      backend.linearDistillation(
          new Tokens(sample.integers(new int[] {1, 1}), 0, 1, sample.unset(2), 0),
          new Teacher(1, 1, sample.floats(logits, 2, 3), null, divergences, 0),
          sample.floats(new float[4], 2, 2),
          sample.normal(3, 2),
          null,
          null);
      assertEquals(Math.log(3), divergences.getFloat(0), 1e-6);
      assertTrue(Float.isNaN(divergences.getFloat(1)));
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      for (float temperature : new float[] {0.5f, 1, 4}) {
        assertAgrees(
            backend,
            3,
            TOLERANCE,
            (on, sample) -> results(on, sample, dtype, temperature).subList(0, 3));
        boolean rounded = dtype == DType.BFLOAT16 && backend.name().equals("cpu");
        assertAgrees(
            backend,
            3,
            rounded ? ROUNDED_TOLERANCE : TOLERANCE,
            (on, sample) -> results(on, sample, dtype, temperature).subList(3, 4));
      }
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
      assertThreadInvariant(backend, 4, (on, sample) -> results(on, sample, dtype, 2));
    }
  }

  @EveryBackend
  void refusesATeacherThatDoesNotFit(Backend backend) {
    try (Sample sample = new Sample(backend, 5)) {
      Tensor hidden = sample.normal(2, 5);
      Tensor weights = sample.normal(3, 5);
      Tensor divergences = sample.unset(2);
      refused(
          backend, sample, "temperature is 0", new Teacher(0, 1, hidden, weights, divergences, 0));
      float nan = Float.NaN;
      refused(
          backend, sample, "temperature is ", new Teacher(nan, 1, hidden, weights, divergences, 0));
      refused(backend, sample, "weight is -1", new Teacher(1, -1, hidden, weights, divergences, 0));
      refused(
          backend,
          sample,
          "teacher's hidden has shape [2, 5], expected [2, 3]",
          new Teacher(1, 1, hidden, null, divergences, 0));
      refused(
          backend,
          sample,
          "teacher's weights has shape [4, 5], expected [3, 5]",
          new Teacher(1, 1, hidden, sample.normal(4, 5), divergences, 0));
      refused(
          backend,
          sample,
          "divergences has shape [3], expected [2]",
          new Teacher(1, 1, hidden, weights, sample.unset(3), 0));
    }
  }

  private static void refused(Backend backend, Sample sample, String fragment, Teacher teacher) {
    assertRefused(
        fragment,
        () ->
            backend.linearDistillation(
                new Tokens(sample.integers(new int[] {0, 1}), 0, 1, sample.unset(2), 0),
                teacher,
                sample.normal(2, 4),
                sample.normal(3, 4),
                null,
                null));
  }

  /** Losses, divergences and both gradients of 83 tokens, 517 classes. */
  private static List<Tensor> results(Backend on, Sample sample, DType dtype, float temperature) {
    Tensor losses = sample.unset(83);
    Tensor divergences = sample.unset(83);
    Tensor dhidden = sample.unset(dtype, 83, 33);
    Tensor dweights = sample.normal(517, 33);
    on.linearDistillation(
        new Tokens(sample.integers(-1, 517, 83), 0.1f, 0.7f, losses, 0),
        new Teacher(
            temperature,
            temperature * temperature,
            sample.normal(dtype, 83, 65),
            sample.normal(dtype, 517, 65),
            divergences,
            0),
        sample.normal(dtype, 83, 33),
        sample.normal(dtype, 517, 33),
        dhidden,
        dweights);
    return List.of(losses, divergences, dhidden, dweights);
  }
}
