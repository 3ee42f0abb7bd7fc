package panamoe.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static panamoe.testkit.Compare.assertClose;
import static panamoe.testkit.Compare.assertRefused;

import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

/** {@link Backend#capture} of every backend, and its {@link KernelGraph}. */
class GraphCaptureContractTest {

  @EveryBackend
  void capturedCallsRunAtOnceAndAgainOnReplay(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor x = sample.floats(new float[] {1, 2}, 2);
      Tensor y = sample.scope().zeros(DType.FLOAT32, 2);
      backend.add(1, y, 10, x, y);
      KernelGraph graph =
          backend.capture(
              () -> {
                backend.add(1, y, 1, x, y);
                backend.add(2, y, 0, y, y);
              });
      assertEquals(2, graph.size());
      assertClose(new double[] {22, 44}, y, 0);
      x.set(100f, 200f);
      graph.replay();
      backend.synchronize();
      assertClose(new double[] {244, 488}, y, 0);
    }
  }

  @EveryBackend
  void aReplayOnAReleasedTensorIsRefused(Backend backend) {
    try (Sample sample = new Sample(backend, 1)) {
      Tensor y = sample.unset(2);
      KernelGraph graph = backend.capture(() -> backend.fill(1, y));
      y.release();
      assertThrows(IllegalStateException.class, graph::replay);
    }
  }

  @EveryBackend
  void aFailedStepEndsTheCapture(Backend backend) {
    try (Sample sample = new Sample(backend, 2)) {
      Tensor y = sample.unset(2);
      assertRefused("x is null", () -> backend.capture(() -> backend.cast(null, y)));
      assertEquals(1, backend.capture(() -> backend.fill(1, y)).size());
    }
  }

  @EveryBackend
  void capturesDoNotNest(Backend backend) {
    assertThrows(
        IllegalStateException.class, () -> backend.capture(() -> backend.capture(() -> {})));
  }

  @EveryBackend
  void closingTwiceDoesNothing(Backend backend) {
    backend.close();
    backend.close();
  }
}
