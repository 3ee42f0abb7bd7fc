package panamoe.harness.plan;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import panamoe.plan.StepTime;
import panamoe.plan.Term;

/** The terms of a step as columns, in milliseconds. */
final class Terms {
  static final String HEADING =
      Arrays.stream(Term.values())
          .map(term -> String.format(Locale.ROOT, "%" + width(term) + "s", name(term)))
          .collect(Collectors.joining(" "));

  private Terms() {}

  static String row(StepTime time) {
    return Arrays.stream(Term.values())
        .map(
            term ->
                String.format(Locale.ROOT, "%" + width(term) + ".2f", 1e3 * time.terms().get(term)))
        .collect(Collectors.joining(" "));
  }

  static String name(Term term) {
    return switch (term) {
      case KEYS_AND_VALUES -> "cache";
      case EXPERT_CALLS -> "calls";
      case ALL_REDUCE -> "sums";
      default -> term.toString();
    };
  }

  private static int width(Term term) {
    return Math.max(6, name(term).length());
  }
}
