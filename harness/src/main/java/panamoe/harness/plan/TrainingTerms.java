package panamoe.harness.plan;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import panamoe.plan.TrainingTerm;
import panamoe.plan.TrainingTime;

/** The terms of a training step as columns, in milliseconds. */
final class TrainingTerms {
  static final String HEADING =
      Arrays.stream(TrainingTerm.values())
          .map(term -> String.format(Locale.ROOT, "%9s", name(term)))
          .collect(Collectors.joining(" "));

  private TrainingTerms() {}

  static String row(TrainingTime time) {
    return Arrays.stream(TrainingTerm.values())
        .map(term -> String.format(Locale.ROOT, "%9.1f", 1e3 * time.terms().get(term)))
        .collect(Collectors.joining(" "));
  }

  static String name(TrainingTerm term) {
    return switch (term) {
      case RECOMPUTATION -> "recompute";
      case ALL_REDUCE -> "sums";
      default -> term.toString();
    };
  }
}
