package panamoe.lab.conformance.replay;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class ComparisonTest {
  private final Comparison comparison = new Comparison();

  private CaseResult compared(float expected, float actual) {
    comparison.close("y", new float[] {expected}, new float[] {actual});
    return comparison.result("case");
  }

  @Test
  void errorWithinTheBoundPasses() {
    CaseResult result = compared(100, 100.005f);
    assertTrue(result.passed());
    assertEquals(0.005, result.largestError(), 1e-5);
    assertEquals("y", result.largestErrorIn());
  }

  @Test
  void errorBeyondTheBoundFails() {
    assertEquals("y[0] is 100.02, expected 100.0", compared(100, 100.02f).failures().getFirst());
  }

  @Test
  void smallElementsCarryTheErrorOfTheLargest() {
    comparison.close("y", new float[] {1000, 0}, new float[] {1000, 0.009f});
    comparison.close("z", new float[] {1000, 0}, new float[] {1000, 0.011f});
    assertEquals(List.of("z[1] is 0.011, expected 0.0"), comparison.result("case").failures());
  }

  @Test
  void infinityDoesNotWidenTheBound() {
    float infinity = Float.NEGATIVE_INFINITY;
    comparison.close("y", new float[] {infinity, 0}, new float[] {infinity, 2e-5f});
    assertFalse(comparison.result("case").passed());
  }

  @Test
  void notANumberAgreesWithItselfOnly() {
    assertTrue(compared(Float.NaN, Float.NaN).passed());
    assertFalse(compared(Float.NaN, 0).passed());
    assertFalse(new ComparisonTest().compared(0, Float.NaN).passed());
  }

  @Test
  void infinityAgreesWithItselfOnly() {
    assertTrue(compared(Float.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY).passed());
    assertFalse(compared(Float.POSITIVE_INFINITY, Float.MAX_VALUE).passed());
  }

  @Test
  void integersMustBeEqual() {
    comparison.exact("counts", new long[] {1, 2, 3}, new long[] {1, 2, 4});
    assertEquals("counts[2] is 4, expected 3", comparison.result("case").failures().getFirst());
  }

  @Test
  void lengthsMustBeEqual() {
    comparison.close("y", new float[2], new float[3]);
    comparison.exact("n", new long[1], new long[0]);
    assertEquals(
        "FAIL case: y has 3 elements, expected 2; n has 0 elements, expected 1",
        comparison.result("case").line());
  }

  @Test
  void comparingNothingIsAFailure() {
    assertEquals("FAIL case: nothing was compared", comparison.result("case").line());
  }
}
