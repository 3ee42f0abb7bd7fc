package panamoe.op;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import panamoe.backend.Backend;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.EveryBackend;

class JitterOpTest {
  private static final int COUNT = 200;

  /** The gradient of a product is multiplied by the same factors; each op has new ones. */
  @EveryBackend
  void backwardDrawsTheFactorsAgain(Backend backend) {
    for (DType dtype : new DType[] {DType.FLOAT32, DType.BFLOAT16}) {
      try (TensorScope scope = TensorScope.confined(backend)) {
        Tensor x = scope.allocate(dtype, 2, COUNT / 2);
        backend.fill(1, x);
        Tape tape = new Tape(backend);
        Pass pass = Pass.training(backend, scope, tape, 7, 1);
        Tensor y = JitterOp.forward(pass, x, 0.25f);
        Tensor other = JitterOp.forward(pass, x, 0.25f);
        assertNotEquals(y.getFloat(0), other.getFloat(0));
        assertEquals(DType.FLOAT32, y.dtype());
        float[] factors = y.toFloats();
        Tensor dy = scope.allocate(DType.FLOAT32, 2, COUNT / 2);
        backend.fill(2, dy);
        tape.addGradient(y, dy);
        tape.backward();
        assertEquals(dtype, tape.gradient(x).dtype());
        double tolerance = dtype == DType.FLOAT32 ? 0 : 0x1p-7;
        for (int i = 0; i < COUNT; i++) {
          assertTrue(factors[i] >= 0.75f && factors[i] < 1.25f);
          assertEquals(2 * factors[i], tape.gradient(x).getFloat(i), tolerance);
        }
      }
    }
  }
}
