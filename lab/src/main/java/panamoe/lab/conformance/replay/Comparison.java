package panamoe.lab.conformance.replay;

import java.util.ArrayList;
import java.util.List;
import panamoe.io.Words;

/**
 * Collects the comparisons of one case. Integers must be equal. Floats x of a tensor may differ by
 * {@code 1e-4 |x| + 1e-5 max(1, m)} from the expected x, m being the largest |x| of the tensor: a
 * small element next to large ones carries the rounding of the large ones.
 */
public class Comparison {
  private static final double ABSOLUTE = 1e-5;
  private static final double RELATIVE = 1e-4;

  /**
   * The tolerance in words: ten times the difference of the recorded peers from their own float64
   * runs.
   */
  public static final String TOLERANCE = "1e-04 |x| + 1e-05 max(1, max |x|)";

  private final List<String> failures = new ArrayList<>();
  private final List<String> notes = new ArrayList<>();
  private double largestError;
  private String largestErrorIn = "";
  private boolean compared;

  /** Compares floats; NaN matches NaN, an infinity matches itself. */
  public void close(String name, float[] expected, float[] actual) {
    compared = true;
    if (expected.length != actual.length) {
      failures.add(name + " has " + actual.length + " elements, expected " + expected.length);
      return;
    }
    double absolute = ABSOLUTE * Math.max(1, largest(expected));
    int worst = -1;
    double worstExcess = 1;
    for (int i = 0; i < expected.length; i++) {
      if (Float.compare(expected[i], actual[i]) == 0 || expected[i] == actual[i]) {
        continue;
      }
      double error = Math.abs((double) expected[i] - actual[i]);
      double excess = error / (absolute + RELATIVE * Math.abs(expected[i]));
      if (!(excess <= worstExcess)) {
        worst = i;
        worstExcess = Double.isNaN(excess) ? Double.POSITIVE_INFINITY : excess;
      }
      if (error > largestError || largestErrorIn.isEmpty()) {
        largestError = error;
        largestErrorIn = name;
      }
    }
    if (worst >= 0) {
      failures.add(name + "[" + worst + "] is " + actual[worst] + ", expected " + expected[worst]);
    }
  }

  /** The largest magnitude of the finite values. */
  private static double largest(float[] values) {
    double largest = 0;
    for (float value : values) {
      if (Float.isFinite(value)) {
        largest = Math.max(largest, Math.abs(value));
      }
    }
    return largest;
  }

  public void close(String name, double expected, double actual) {
    close(name, new float[] {(float) expected}, new float[] {(float) actual});
  }

  public void exact(String name, long[] expected, long[] actual) {
    compared = true;
    if (expected.length != actual.length) {
      failures.add(name + " has " + actual.length + " elements, expected " + expected.length);
      return;
    }
    for (int i = 0; i < expected.length; i++) {
      if (expected[i] != actual[i]) {
        failures.add(name + "[" + i + "] is " + actual[i] + ", expected " + expected[i]);
        return;
      }
    }
  }

  public void exact(String name, long expected, long actual) {
    exact(name, new long[] {expected}, new long[] {actual});
  }

  /**
   * Checks a condition other than a comparison of recorded numbers.
   *
   * @param pattern of the failure message, for {@link Words#of}
   */
  public void require(boolean holds, String pattern, Object... values) {
    compared = true;
    if (!holds) {
      failures.add(Words.of(pattern, values));
    }
  }

  /** Adds a note, by {@link Words#of}, on a comparison in another form than recorded. */
  public void note(String pattern, Object... values) {
    notes.add(Words.of(pattern, values));
  }

  /** Adds another comparison's results; {@code prefix} precedes its tensor names. */
  public void include(String prefix, Comparison other) {
    compared |= other.compared;
    other.failures.forEach(failure -> failures.add(prefix + failure));
    notes.addAll(other.notes);
    if (!other.largestErrorIn.isEmpty()
        && (other.largestError > largestError || largestErrorIn.isEmpty())) {
      largestError = other.largestError;
      largestErrorIn = prefix + other.largestErrorIn;
    }
  }

  /** The result; a case that compared nothing fails. */
  public CaseResult result(String name) {
    if (!compared) {
      return CaseResult.failed(name, "nothing was compared");
    }
    return new CaseResult(
        name, largestError, largestErrorIn, List.copyOf(failures), List.copyOf(notes), "");
  }
}
