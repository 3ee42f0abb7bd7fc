package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertNull;
import static panamoe.testkit.Compare.assertSameBits;
import static panamoe.testkit.FiniteDifference.assertGradient;

import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

class DistillationOpTest {
  private static final float CAP = 3;
  private static final float DLOSS = 0.5f;
  private static final float WEIGHT = 3;

  @EveryBackend
  void gradientsMatchFiniteDifferencesAndTheTeacherHasNone(Backend backend) {
    for (float temperature : new float[] {0.5f, 1, 4}) {
      try (Sample sample = new Sample(backend, 1);
          TensorScope scope = TensorScope.confined(backend)) {
        Tensor hidden = sample.normal(5, 4);
        Tensor weights = sample.normal(7, 4);
        Tensor targets = sample.integers(new int[] {6, 0, -1, 3, 3});
        DistillationOp.Teacher teacher =
            new DistillationOp.Teacher(
                temperature, WEIGHT, sample.normal(5, 6), sample.normal(7, 6), 4);
        Tensor dweights = sample.scope().zeros(DType.FLOAT32, 7, 4);
        Tape tape = new Tape(backend);
        tape.watch(weights, new Gradient(backend, dweights));
        Pass recording = Pass.evaluation(backend, scope, tape);
        DistillationOp.forward(recording, hidden, weights, CAP, teacher, targets, 0.1f, DLOSS);
        tape.backward();
        assertNull(tape.gradient(teacher.hidden()));
        assertNull(tape.gradient(teacher.weights()));
        Tensor[][] pairs = {{hidden, tape.gradient(hidden)}, {weights, dweights}};
        for (Tensor[] pair : pairs) {
          assertGradient(
              pair[0],
              pair[1],
              temperature < 1 ? 5e-3 : 5e-4, // truncation grows with T^-5
              () -> {
                try (TensorScope probe = TensorScope.confined(backend)) {
                  Pass pass = Pass.inference(backend, probe);
                  return objective(
                      DistillationOp.forward(
                          pass, hidden, weights, CAP, teacher, targets, 0.1f, DLOSS));
                }
              });
        }
      }
    }
  }

  @EveryBackend
  void theCrossEntropyIsThatOfCrossEntropyOp(Backend backend) {
    try (Sample sample = new Sample(backend, 2);
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor hidden = sample.normal(9, 4);
      Tensor weights = sample.normal(21, 4);
      Tensor targets = sample.integers(-1, 21, 9);
      DistillationOp.Teacher teacher =
          new DistillationOp.Teacher(2, WEIGHT, sample.normal(9, 21), null);
      Pass pass = Pass.inference(backend, scope);
      DistillationOp.Losses losses =
          DistillationOp.forward(pass, hidden, weights, CAP, teacher, targets, 0, DLOSS);
      assertSameBits(
          CrossEntropyOp.forward(pass, hidden, weights, CAP, targets, 0, DLOSS),
          losses.crossEntropies());
    }
  }

  private static double objective(DistillationOp.Losses losses) {
    double sum = 0;
    for (long s = 0; s < losses.divergences().count(); s++) {
      sum += losses.crossEntropies().getFloat(s) + WEIGHT * losses.divergences().getFloat(s);
    }
    return DLOSS * sum;
  }
}
