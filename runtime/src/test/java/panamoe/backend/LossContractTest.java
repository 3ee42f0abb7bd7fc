package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static panamoe.testkit.Compare.assertAgrees;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.Compare.assertThreadInvariant;
import static panamoe.testkit.FiniteDifference.assertGradient;

import java.util.List;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.EveryNativeBackend;
import panamoe.testkit.Sample;

class LossContractTest {
  private static final double TOLERANCE = 2e-5;
  // With BFLOAT16 the CPU rounds the gradient of the logits, by 2^-8 of itself: dweights, FLOAT32
  // though they are, are
  // off by as much as a BFLOAT16 result.
  private static final double ROUNDED_TOLERANCE = 0x1p-7;
  private static final List<DType> DTYPES = List.of(DType.FLOAT32, DType.BFLOAT16);

  /** Logits ln 1, ln 2, ln 5: probabilities 1/8, 2/8, 5/8. */
  @EveryBackend
  void equalsItsDefinition(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      float[] row = {0, (float) Math.log(2), (float) Math.log(5)};
      Tensor logits =
          sample.floats(new float[] {row[0], row[1], row[2], row[0], row[1], row[2]}, 2, 3);
      Tensor targets = sample.integers(new int[] {1, -1});
      Tensor losses = sample.unset(2);
      Tensor dlogits = sample.unset(2, 3);
      backend.crossEntropy(new LossKernels.Tokens(targets, 0, 2, losses, 0), logits, dlogits);
      assertClose(new double[] {Math.log(4), 0}, losses, 1e-6);
      assertClose(new double[] {0.25, -1.5, 1.25, 0, 0, 0}, dlogits, 1e-6);
      backend.crossEntropy(new LossKernels.Tokens(targets, 0.3f, 1, losses, 0), logits, dlogits);
      double smoothed = 0.8 * Math.log(4) + 0.1 * Math.log(8) + 0.1 * Math.log(8.0 / 5);
      assertClose(new double[] {smoothed, 0}, losses, 1e-6);
      assertClose(new double[] {0.025, -0.55, 0.525, 0, 0, 0}, dlogits, 1e-6);
    }
  }

  @EveryBackend
  void largeLogitsDoNotOverflow(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor losses = sample.unset(1);
      backend.crossEntropy(
          new LossKernels.Tokens(sample.integers(new int[] {0}), 0, 1, losses, 0),
          sample.floats(new float[] {1e30f, 0, -1e30f}, 1, 3),
          null);
      assertEquals(0, losses.getFloat(0));
    }
  }

  @EveryBackend
  void gradientsMatchFiniteDifferences(Backend backend) {
    try (Sample sample = new Sample(backend, 3)) {
      Tensor hidden = sample.normal(5, 4);
      Tensor weights = sample.normal(7, 4);
      Tensor targets = sample.integers(new int[] {6, 0, -1, 3, 3});
      Tensor losses = sample.unset(5);
      Tensor dhidden = sample.unset(5, 4);
      Tensor dweights = sample.scope().zeros(DType.FLOAT32, 7, 4);
      backend.linearCrossEntropy(
          new LossKernels.Tokens(targets, 0.1f, 0.5f, losses, 2),
          hidden,
          weights,
          dhidden,
          dweights);
      for (Tensor[] pair : new Tensor[][] {{hidden, dhidden}, {weights, dweights}}) {
        assertGradient(
            pair[0],
            pair[1],
            5e-4,
            () -> {
              backend.linearCrossEntropy(
                  new LossKernels.Tokens(targets, 0.1f, 0.5f, losses, 2),
                  hidden,
                  weights,
                  null,
                  null);
              return 0.5 * sum(losses);
            });
      }
      Tensor logits = sample.normal(5, 7);
      Tensor dlogits = sample.unset(5, 7);
      backend.crossEntropy(new LossKernels.Tokens(targets, 0.1f, 0.5f, losses, 0), logits, dlogits);
      assertGradient(
          logits,
          dlogits,
          5e-4,
          () -> {
            backend.crossEntropy(
                new LossKernels.Tokens(targets, 0.1f, 0.5f, losses, 0), logits, null);
            return 0.5 * sum(losses);
          });
      backend.crossEntropy(new LossKernels.Tokens(targets, 0.1f, 0.5f, losses, 0), logits, logits);
      assertSameBits(dlogits, logits);
    }
  }

  /** The fused loss equals the loss of the product. */
  @EveryBackend
  void fusedEqualsUnfused(Backend backend) {
    try (Sample sample = new Sample(backend, 4)) {
      Tensor hidden = sample.normal(13, 9);
      Tensor weights = sample.normal(21, 9);
      Tensor targets = sample.integers(-1, 21, 13);
      Tensor logits = sample.unset(13, 21);
      Tensor losses = sample.unset(13);
      Tensor fused = sample.unset(13);
      Tensor dhidden = sample.unset(13, 9);
      Tensor fusedDhidden = sample.unset(13, 9);
      backend.gemm(false, true, false, hidden, weights, logits, GemmKernels.Epilogue.NONE);
      backend.crossEntropy(new LossKernels.Tokens(targets, 0, 1, losses, 0), logits, logits);
      backend.gemm(false, false, false, logits, weights, dhidden, GemmKernels.Epilogue.NONE);
      backend.linearCrossEntropy(
          new LossKernels.Tokens(targets, 0, 1, fused, 0),
          hidden,
          weights,
          fusedDhidden,
          sample.scope().zeros(DType.FLOAT32, 21, 9));
      assertClose(losses, fused, TOLERANCE);
      assertClose(dhidden, fusedDhidden, TOLERANCE);
    }
  }

  @EveryNativeBackend
  void agreesWithTheReference(Backend backend) {
    for (DType dtype : DTYPES) {
      assertAgrees(backend, 5, TOLERANCE, (on, sample) -> plain(on, sample, dtype, 37, 1003));
      assertAgrees(
          backend,
          6,
          TOLERANCE,
          (on, sample) -> linear(on, sample, dtype, 83, 65, 517).subList(0, 2));
      boolean rounded = dtype == DType.BFLOAT16 && backend.name().equals("cpu");
      assertAgrees(
          backend,
          6,
          rounded ? ROUNDED_TOLERANCE : TOLERANCE,
          (on, sample) -> linear(on, sample, dtype, 83, 65, 517).subList(2, 3));
    }
  }

  @EveryNativeBackend
  void threadsDoNotChangeABit(Backend backend) {
    for (DType dtype : DTYPES) {
      assertThreadInvariant(backend, 7, (on, sample) -> plain(on, sample, dtype, 301, 129));
      assertThreadInvariant(backend, 8, (on, sample) -> linear(on, sample, dtype, 301, 33, 517));
    }
  }

  @EveryBackend
  void aTokenDoesNotDependOnTheTokensBesideIt(Backend backend) {
    try (Sample sample = new Sample(backend, 9)) {
      Tensor hidden = sample.normal(67, 24);
      Tensor weights = sample.normal(50, 24);
      Tensor targets = sample.integers(0, 50, 67);
      Tensor all = sample.unset(67);
      Tensor alone = sample.unset(1);
      backend.linearCrossEntropy(
          new LossKernels.Tokens(targets, 0, 1, all, 0), hidden, weights, null, null);
      for (int s = 0; s < 67; s += 11) {
        backend.linearCrossEntropy(
            new LossKernels.Tokens(targets.rows(s, s + 1), 0, 1, alone, 0),
            hidden.rows(s, s + 1),
            weights,
            null,
            null);
        assertSameBits(all.rows(s, s + 1), alone);
      }
    }
  }

  @EveryBackend
  void frozenWeightsMayBePacked(Backend backend) {
    for (DType dtype : DTYPES) {
      try (Sample sample = new Sample(backend, 9)) {
        Tensor hidden = sample.normal(dtype, 67, 24);
        Tensor weights = sample.normal(dtype, 50, 24);
        Tensor packed =
            sample.scope().allocatePacked(dtype, backend.packedBytes(dtype, 50, 24), 50, 24);
        backend.pack(weights, packed);
        LossKernels.Tokens tokens =
            new LossKernels.Tokens(sample.integers(0, 50, 67), 0, 1, sample.unset(67), 0);
        Tensor expected = sample.unset(67, 24);
        Tensor dhidden = sample.unset(67, 24);
        backend.linearCrossEntropy(tokens, hidden, weights, expected, sample.normal(50, 24));
        backend.linearCrossEntropy(tokens, hidden, packed, dhidden, null);
        assertSameBits(expected, dhidden);
      }
    }
  }

  @EveryBackend
  void refusesTargetsOutsideTheVocabulary(Backend backend) {
    try (Sample sample = new Sample(backend, 10)) {
      Tensor logits = sample.normal(2, 3);
      Tensor losses = sample.unset(2);
      assertRefused(
          "targets[1] is 3, expected -1 to 2",
          () ->
              backend.crossEntropy(
                  new LossKernels.Tokens(sample.integers(new int[] {0, 3}), 0, 1, losses, 0),
                  logits,
                  null));
      assertRefused(
          "targets[0] is -2",
          () ->
              backend.linearCrossEntropy(
                  new LossKernels.Tokens(sample.integers(new int[] {-2, 0}), 0, 1, losses, 0),
                  logits,
                  sample.normal(4, 3),
                  null,
                  null));
      assertRefused(
          "smoothing",
          () ->
              backend.crossEntropy(
                  new LossKernels.Tokens(sample.integers(new int[] {0, 1}), 1.5f, 1, losses, 0),
                  logits,
                  null));
      assertRefused(
          "dweights",
          () ->
              backend.linearCrossEntropy(
                  new LossKernels.Tokens(sample.integers(new int[] {0, 1}), 0, 1, losses, 0),
                  logits,
                  sample.normal(4, 3),
                  null,
                  sample.unset(4, 3)));
    }
  }

  private static double sum(Tensor losses) {
    double sum = 0;
    for (float loss : losses.toFloats()) {
      sum += loss;
    }
    return sum;
  }

  private static List<Tensor> plain(
      Backend on, Sample sample, DType dtype, long tokens, int classes) {
    Tensor losses = sample.unset(tokens);
    Tensor dlogits = sample.unset(dtype, tokens, classes);
    Tensor logits = sample.normal(dtype, tokens, classes);
    Tensor targets = sample.integers(-1, classes, tokens);
    on.crossEntropy(new LossKernels.Tokens(targets, 0.1f, 0.7f, losses, 0), logits, dlogits);
    return List.of(losses, dlogits);
  }

  private static List<Tensor> linear(
      Backend on, Sample sample, DType dtype, long tokens, long width, int classes) {
    Tensor losses = sample.unset(tokens);
    Tensor dhidden = sample.unset(dtype, tokens, width);
    Tensor dweights = sample.normal(classes, width);
    Tensor hidden = sample.normal(dtype, tokens, width);
    Tensor weights = sample.normal(dtype, classes, width);
    Tensor targets = sample.integers(-1, classes, tokens);
    on.linearCrossEntropy(
        new LossKernels.Tokens(targets, 0.1f, 0.7f, losses, 0), hidden, weights, dhidden, dweights);
    return List.of(losses, dhidden, dweights);
  }
}
