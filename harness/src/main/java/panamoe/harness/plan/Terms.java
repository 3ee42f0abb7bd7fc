package panamoe.harness.plan;

import java.util.Collection;
import java.util.List;
import java.util.function.Function;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.plan.StepTerm;
import panamoe.plan.StepTime;

/** The terms of a step's time. */
final class Terms {
  private Terms() {}

  /** A column of milliseconds for each term. */
  static <R> List<Column<R>> columns(
      Collection<? extends StepTerm> terms, Function<R, StepTime> time) {
    return terms.stream()
        .map(
            term ->
                Column.<R>of(
                    term.heading(), "%.2f", row -> 1e3 * time.apply(row).terms().get(term)))
        .toList();
  }

  /** What each term is. */
  static Table<StepTerm> meanings(Collection<StepTerm> terms) {
    return new Table<>(
        List.of(
            Column.ofWords("term", StepTerm::heading),
            Column.ofWords("spent on", StepTerm::meaning)),
        List.copyOf(terms));
  }
}
