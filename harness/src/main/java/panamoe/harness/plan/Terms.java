package panamoe.harness.plan;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import panamoe.plan.StepTerm;
import panamoe.plan.StepTime;

/** The terms of a step as columns, in milliseconds. */
final class Terms {
  private static final int NARROWEST = 6;

  private Terms() {}

  static String heading(StepTerm[] terms) {
    return Arrays.stream(terms)
        .map(term -> String.format(Locale.ROOT, "%" + width(term) + "s", term.heading()))
        .collect(Collectors.joining(" "));
  }

  /**
   * @param decimals behind the point
   */
  static String row(StepTime time, int decimals) {
    return time.terms().entrySet().stream()
        .map(
            term ->
                String.format(
                    Locale.ROOT,
                    "%" + width(term.getKey()) + "." + decimals + "f",
                    1e3 * term.getValue()))
        .collect(Collectors.joining(" "));
  }

  private static int width(StepTerm term) {
    return Math.max(NARROWEST, term.heading().length());
  }
}
