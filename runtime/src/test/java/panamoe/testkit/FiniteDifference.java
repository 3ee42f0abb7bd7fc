package panamoe.testkit;

import java.util.function.DoubleSupplier;
import panamoe.tensor.Tensor;

/**
 * Gradients by central differences of fourth order: {@code (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) /
 * 12h} with h = 1/16. The truncation error is some h^4 / 30 = 5e-7, the noise of float32 outputs
 * some 1e-6.
 */
public final class FiniteDifference {
  private static final float STEP = 0x1p-4f;

  private FiniteDifference() {}

  /**
   * Asserts that {@code gradient} is the derivative of {@code loss} by the FLOAT32 elements of x,
   * within {@code tolerance * (|difference| + root mean square)}. {@code loss} reads x; this
   * changes one element at a time and restores it.
   */
  public static void assertGradient(
      Tensor x, Tensor gradient, double tolerance, DoubleSupplier loss) {
    double[] differences = new double[Math.toIntExact(x.count())];
    for (int i = 0; i < differences.length; i++) {
      float value = x.getFloat(i);
      double near = at(x, i, value + STEP, loss) - at(x, i, value - STEP, loss);
      double far = at(x, i, value + 2 * STEP, loss) - at(x, i, value - 2 * STEP, loss);
      differences[i] = (8 * near - far) / (12 * STEP);
      x.setFloat(i, value);
    }
    Compare.assertClose(differences, gradient, tolerance);
  }

  /** {@code sum_i a[i] b[i]}: the loss whose gradient by a is b. */
  public static double dot(Tensor a, Tensor b) {
    double sum = 0;
    for (long i = 0; i < a.count(); i++) {
      sum += (double) a.getFloat(i) * b.getFloat(i);
    }
    return sum;
  }

  private static double at(Tensor x, int i, float value, DoubleSupplier loss) {
    x.setFloat(i, value);
    return loss.getAsDouble();
  }
}
