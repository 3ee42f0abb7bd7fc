package panamoe.harness.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;

/** The tables that plans of serving and of training both have. */
record PlanTables<P>(PlanReport<P> report) {
  private List<P> rows() {
    return report.front().all();
  }

  /** Degrees, what the report tells of plans, and memory. */
  Table<P> plans() {
    List<Column<P>> columns = new ArrayList<>();
    columns.add(cards());
    columns.add(Column.of("data", "%d", plan -> report.topology(plan).dataDegree()));
    columns.add(Column.of("expert", "%d", plan -> report.topology(plan).expertDegree()));
    columns.add(Column.of("tensor", "%d", plan -> report.topology(plan).tensorDegree()));
    columns.add(Column.of("slices", "%d", plan -> report.topology(plan).expertSlices()));
    columns.addAll(report.columns());
    columns.add(gigabytes("GB", plan -> report.memory(plan).total()));
    columns.add(Column.ofWords("", report::best));
    return new Table<>(columns, rows());
  }

  /** Milliseconds by term. */
  Table<P> terms() {
    List<Column<P>> columns = new ArrayList<>();
    columns.add(cards());
    columns.add(
        Column.of("ms/" + report.timed(), "%.2f", plan -> 1e3 * report.time(plan).seconds()));
    columns.addAll(Terms.columns(report.time(rows().getFirst()).terms().keySet(), report::time));
    return new Table<>(columns, rows());
  }

  /** Gigabytes of a card by part. */
  Table<P> memory() {
    List<Column<P>> columns = new ArrayList<>();
    columns.add(cards());
    columns.add(gigabytes("GB", plan -> report.memory(plan).total()));
    for (String part : report.memory(rows().getFirst()).parts().keySet()) {
      columns.add(gigabytes(part, plan -> report.memory(plan).parts().get(part)));
    }
    return new Table<>(columns, rows());
  }

  /** All tables and what is behind them, for a terminal. */
  String text() {
    StringBuilder text = new StringBuilder();
    line(text, report.title());
    line(text, "");
    text.append(plans().text());
    for (PlanReport.Misfit misfit : report.misfits()) {
      line(text, String.format(Locale.ROOT, "%5d%s", misfit.cards(), misfit.why()));
    }
    List<Table<P>> tables = new ArrayList<>(List.of(terms(), memory()));
    tables.addAll(report.more().values());
    for (Table<P> table : tables) {
      line(text, "");
      text.append(table.text());
    }
    if (!report.remark().isEmpty()) {
      line(text, "");
      line(text, report.remark());
    }
    if (report.skew() != null) {
      line(text, "");
      line(text, report.skew().caption());
      text.append(report.skew().table().text());
    }
    line(text, "");
    line(text, "The fastest plan is " + report.launched());
    line(text, "    " + report.launch(report.front().fastest()));
    line(text, "");
    return text.append(Constants.table(report.constants()).text()).toString();
  }

  /** The first column of every table. */
  Column<P> cards() {
    return Column.of("cards", "%5d", plan -> report.topology(plan).ranks());
  }

  private static <P> Column<P> gigabytes(String heading, Function<P, Long> bytes) {
    return Column.of(heading, "%.1f", plan -> bytes.apply(plan) / 1e9);
  }

  private static void line(StringBuilder text, String line) {
    text.append(line).append(System.lineSeparator());
  }
}
