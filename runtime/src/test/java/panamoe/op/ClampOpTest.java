package panamoe.op;

import static panamoe.testkit.Compare.assertClose;

import panamoe.backend.Backend;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;
import panamoe.testkit.Sample;

class ClampOpTest {
  @EveryBackend
  void passesGradientsInsideItsBound(Backend backend) {
    try (Sample sample = new Sample(backend, 1);
        TensorScope scope = TensorScope.confined(backend)) {
      Tensor x = sample.floats(new float[] {-2, -1.5f, -0.5f, 0, 1, 1.5f, 7}, 7);
      Tape tape = new Tape(backend);
      Tensor y = ClampOp.forward(Pass.evaluation(backend, scope, tape), x, 1.5f);
      assertClose(new double[] {-1.5, -1.5, -0.5, 0, 1, 1.5, 1.5}, y, 0);
      tape.addGradient(y, scope.allocate(y.dtype(), 7).set(1f, 2, 3, 4, 5, 6, 7));
      tape.backward();
      assertClose(new double[] {0, 2, 3, 4, 5, 6, 0}, tape.gradient(x), 0);
    }
  }
}
