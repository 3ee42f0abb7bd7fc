package panamoe.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.function.Executable;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.DType;
import panamoe.tensor.HostView;
import panamoe.tensor.Tensor;

/** Assertions on tensors. */
public final class Compare {
  private static final double SMALLEST_SCALE = 0x1p-4;

  /** Takes inputs from a sample, runs kernels on a backend and returns their outputs. */
  public interface Kernel {
    List<Tensor> run(Backend backend, Sample sample);
  }

  private Compare() {}

  /**
   * Asserts that outputs are close to the reference's, see {@link #assertClose(Tensor, Tensor,
   * double)}.
   */
  public static void assertAgrees(Backend backend, long seed, double tolerance, Kernel kernel) {
    try (Backend reference = new ReferenceBackend();
        Sample referenceSample = new Sample(reference, seed);
        Sample sample = new Sample(backend, seed)) {
      List<Tensor> expected = kernel.run(reference, referenceSample);
      List<Tensor> actual = kernel.run(backend, sample);
      assertEquals(expected.size(), actual.size());
      for (int i = 0; i < actual.size(); i++) {
        assertClose(expected.get(i), actual.get(i), tolerance);
      }
    }
  }

  /** Asserts that outputs have the bits of this backend with one thread. */
  public static void assertThreadInvariant(Backend backend, long seed, Kernel kernel) {
    try (Backend oneThread = Backends.open(backend.name(), 1);
        Sample firstSample = new Sample(oneThread, seed);
        Sample secondSample = new Sample(backend, seed)) {
      List<Tensor> expected = kernel.run(oneThread, firstSample);
      List<Tensor> actual = kernel.run(backend, secondSample);
      for (int i = 0; i < actual.size(); i++) {
        assertSameBits(expected.get(i), actual.get(i));
      }
    }
  }

  /**
   * Integers are equal; floats satisfy {@code |actual - expected| <= tolerance * (|expected| + r)}
   * with r the root mean square of expected, at least 1/16: inputs are of order 1, so smaller
   * values come from cancellation. For BFLOAT16 the tolerance is at least 2^-7, one unit in the
   * last place.
   */
  public static void assertClose(Tensor expected, Tensor actual, double tolerance) {
    assertArrayEquals(expected.shape(), actual.shape());
    assertEquals(expected.dtype(), actual.dtype());
    if (!expected.dtype().isFloating()) {
      assertSameBits(expected, actual);
      return;
    }
    double allowed = expected.dtype() == DType.BFLOAT16 ? Math.max(tolerance, 0x1p-7) : tolerance;
    assertClose(widen(expected.toFloats()), actual, allowed);
  }

  /**
   * Like {@link #assertClose(Tensor, Tensor, double)}, against numbers. An expected NaN marks an
   * element that the kernel must not write, and matches only NaN.
   */
  public static void assertClose(double[] expected, Tensor actual, double tolerance) {
    assertEquals(expected.length, actual.count(), "elements");
    double square = 0;
    for (double value : expected) {
      square += Double.isNaN(value) ? 0 : value * value / expected.length;
    }
    double scale = Math.max(Math.sqrt(square), SMALLEST_SCALE);
    float[] values = actual.toFloats();
    for (int i = 0; i < expected.length; i++) {
      double error = Math.abs(values[i] - expected[i]);
      boolean same = Double.isNaN(expected[i]) && Float.isNaN(values[i]);
      if (!same && !(error <= tolerance * (Math.abs(expected[i]) + scale))) {
        fail("element " + i + " of " + actual + " is " + values[i] + ", expected " + expected[i]);
      }
    }
  }

  public static void assertSameBits(Tensor expected, Tensor actual) {
    assertEquals(expected.bytes(), actual.bytes(), "bytes");
    long place = HostView.elements(expected).mismatch(HostView.elements(actual));
    if (place >= 0) {
      long i = place / expected.dtype().bytes();
      fail(
          "element "
              + i
              + " of "
              + actual
              + " is "
              + actual.getFloat(i)
              + ", not "
              + expected.getFloat(i));
    }
  }

  /**
   * Asserts that the call throws with a message that contains {@code fragment}, ignoring case and
   * underscores.
   */
  public static void assertRefused(String fragment, Executable call) {
    RuntimeException refusal = assertThrows(IllegalArgumentException.class, call);
    assertTrue(
        plain(refusal.getMessage()).contains(plain(fragment)),
        () -> "expected '" + fragment + "' in: " + refusal.getMessage());
  }

  public static double[] widen(float[] values) {
    double[] wide = new double[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    return wide;
  }

  private static String plain(String text) {
    return text.toLowerCase(Locale.ROOT).replace("_", "");
  }
}
