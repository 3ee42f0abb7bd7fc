package panamoe.lab.conformance.replay;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.io.Words;

/**
 * The result of one recorded case.
 *
 * @param name path of the file relative to the folder, without its extension
 * @param largestError largest absolute error over all compared numbers
 * @param largestErrorIn its tensor; empty if only integers were compared, {@code text} if only
 *     texts
 * @param failures one sentence per tensor that does not match
 * @param notes on comparisons in another form than recorded
 * @param skipped why the case was not replayed; empty if it was
 */
public record CaseResult(
    String name,
    double largestError,
    String largestErrorIn,
    List<String> failures,
    List<String> notes,
    String skipped) {
  private static final String TEXT = "text";

  public static CaseResult failed(String name, String reason) {
    return new CaseResult(name, 0, "", List.of(reason), List.of(), "");
  }

  /** A case whose texts are equal. */
  public static CaseResult ofText(String name, List<String> notes) {
    return new CaseResult(name, 0, TEXT, List.of(), notes, "");
  }

  /** A case that no configuration can express. */
  public static CaseResult skipped(String name, String reason) {
    return new CaseResult(name, 0, "", List.of(), List.of(), reason);
  }

  public boolean passed() {
    return failures.isEmpty() && skipped.isEmpty();
  }

  /**
   * The JSON of the case.
   *
   * @param device name of the backend
   */
  public Map<String, Object> json(String device) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("name", name);
    line.put("device", device);
    line.put("passed", passed());
    line.put("max_abs_error", largestError);
    line.put("max_abs_error_in", largestErrorIn);
    line.put("tolerance", Comparison.TOLERANCE);
    line.put("failures", failures);
    line.put("notes", notes);
    if (!skipped.isEmpty()) {
      line.put("skipped", skipped);
    }
    return line;
  }

  /** The case in one line. */
  public String line() {
    if (!skipped.isEmpty()) {
      return "skip " + name + ": " + skipped;
    }
    if (!passed()) {
      return "FAIL " + name + ": " + String.join("; ", failures);
    }
    String where = largestErrorIn.isEmpty() ? "integers" : largestErrorIn;
    String note = notes.isEmpty() ? "" : "  [" + String.join("; ", notes) + "]";
    if (largestErrorIn.equals(TEXT)) {
      return "ok   " + name + ": " + (notes.isEmpty() ? "the same text" : "not compared") + note;
    }
    return Words.of(
        "ok   %s: max abs error %.1e (%s), tolerance %s%s",
        name, largestError, where, Comparison.TOLERANCE, note);
  }
}
