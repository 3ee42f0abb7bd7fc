package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.ConfigJson;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.plan.Constant;
import panamoe.plan.Plan;
import panamoe.plan.PlanObjective;
import panamoe.plan.Search;
import panamoe.plan.StepTime;
import panamoe.plan.Term;

/** What a search for plans has found, as JSON and as tables. */
interface PlanReport {
  Search search();

  Search.Found found();

  /** What skew costs; null: not asked for. */
  SkewTable skew();

  /** What is planned. */
  default PlanObjective objective() {
    return search().objective();
  }

  /** In one line, for headings. */
  String title();

  /** Adds the settings that only plans of this kind have. */
  void addSettings(ObjectNode json);

  default ObjectNode json(Plan plan) {
    return plan.toJson();
  }

  /** The command that runs a plan. */
  String launch(Plan plan);

  /** What that command does with the fastest plan. */
  String launched();

  /** What the table has of a plan beside degrees and memory. */
  List<Column<Plan>> columns();

  /** Further tables, by heading. */
  default Map<String, Table<Plan>> more() {
    return Map.of();
  }

  /** A sentence behind the tables; empty: none. */
  String remark();

  /** Figures of the plans under a heading, for a page. */
  String figures();

  default Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>(objective().times().efficiency().constants());
    all.putAll(search().cluster().node().constants());
    return all;
  }

  /** One object. */
  default ObjectNode json() {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("model", search().name());
    json.put("cluster", search().cluster().toString());
    json.put("dtype", dtype());
    json.put("batch", objective().batch());
    json.put("context", objective().context());
    addSettings(json);
    json.set("constants", json(constants()));
    List<Plan> all = found().front();
    all.forEach(plan -> json.withArray("front").add(json(plan).put("launch", launch(plan))));
    json.put("smallest", all.indexOf(found().smallest()));
    json.put("cheapest", all.indexOf(found().cheapest()));
    json.put("fastest", all.indexOf(found().fastest()));
    for (Search.Misfit misfit : found().misfits()) {
      ObjectNode object = json.withArray("does_not_fit").addObject().put("cards", misfit.devices());
      if (misfit.least() != null) {
        object.set("memory", misfit.least().toJson());
      }
    }
    if (skew() != null) {
      json.set("skew", skew().json());
    }
    return json;
  }

  default String dtype() {
    return objective().dtype().name().toLowerCase(Locale.ROOT);
  }

  /** Constants by name, each with where it comes from. */
  static ObjectNode json(Map<String, Constant> constants) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    constants.forEach((name, constant) -> json.set(name, ConfigJson.tree(constant)));
    return json;
  }

  static Table<Map.Entry<String, Constant>> table(Map<String, Constant> constants) {
    return new Table<>(
        List.of(
            Column.ofWords("constant", Map.Entry::getKey),
            Column.of("value", "%.4g", each -> each.getValue().value()),
            Column.ofWords("unit", each -> each.getValue().unit()),
            Column.ofWords("kind", each -> each.getValue().kind().toString()),
            Column.ofWords("source", each -> each.getValue().source())),
        List.copyOf(constants.entrySet()));
  }

  /** Degrees, what is told of plans of this kind, and memory. */
  default Table<Plan> plans() {
    List<Column<Plan>> columns = new ArrayList<>();
    columns.add(devices());
    columns.add(Column.of("data", "%d", plan -> plan.topology().dataDegree()));
    columns.add(Column.of("expert", "%d", plan -> plan.topology().expertDegree()));
    columns.add(Column.of("tensor", "%d", plan -> plan.topology().tensorDegree()));
    columns.add(Column.of("slices", "%d", plan -> plan.topology().expertSlices()));
    columns.addAll(columns());
    columns.add(gigabytes("GB", plan -> plan.memory().total()));
    columns.add(Column.ofWords("", this::best));
    return new Table<>(columns, found().front());
  }

  /** What the plan is best in, or nothing. */
  private String best(Plan plan) {
    List<String> best = new ArrayList<>();
    if (plan.equals(found().smallest())) {
      best.add("fewest devices");
    }
    if (plan.equals(found().cheapest())) {
      best.add("cheapest");
    }
    if (plan.equals(found().fastest())) {
      best.add("fastest");
    }
    return String.join(", ", best);
  }

  /** Milliseconds by term. */
  private Table<Plan> terms() {
    List<Column<Plan>> columns = new ArrayList<>();
    columns.add(devices());
    columns.add(
        Column.of(
            "ms/" + objective().phrases().timed(), "%.2f", plan -> 1e3 * plan.time().seconds()));
    columns.addAll(columns(found().fastest().time().terms().keySet(), Plan::time));
    return new Table<>(columns, found().front());
  }

  /** A column of milliseconds for each term. */
  static <R> List<Column<R>> columns(Collection<Term> terms, Function<R, StepTime> time) {
    return terms.stream()
        .map(
            term ->
                Column.<R>of(
                    term.heading(), "%.2f", row -> 1e3 * time.apply(row).terms().get(term)))
        .toList();
  }

  /** Gigabytes of a device by part. */
  private Table<Plan> memory() {
    List<Column<Plan>> columns = new ArrayList<>();
    columns.add(devices());
    columns.add(gigabytes("GB", plan -> plan.memory().total()));
    for (String part : found().fastest().memory().parts().keySet()) {
      columns.add(gigabytes(part, plan -> plan.memory().parts().get(part)));
    }
    return new Table<>(columns, found().front());
  }

  /** All tables and what is behind them, for a terminal. */
  default String text() {
    List<String> lines = new ArrayList<>(List.of(title(), "", plans().text()));
    found().misfits().forEach(misfit -> lines.add(line(misfit)));
    lines.addAll(List.of("", terms().text(), "", memory().text()));
    more().values().forEach(table -> lines.addAll(List.of("", table.text())));
    if (!remark().isEmpty()) {
      lines.addAll(List.of("", remark()));
    }
    if (skew() != null) {
      lines.addAll(List.of("", skew().caption(), skew().table().text()));
    }
    lines.addAll(List.of("", "The fastest plan is " + launched()));
    lines.addAll(List.of("    " + launch(found().fastest()), "", table(constants()).text()));
    return text(lines);
  }

  /** Lines and tables, which end in a line's end. */
  static String text(List<String> lines) {
    return lines.stream()
        .map(line -> line.endsWith("\n") ? line : line + "\n")
        .collect(Collectors.joining());
  }

  private String line(Search.Misfit misfit) {
    double room = objective().times().room();
    String why =
        misfit.least() == null
            ? ": no degrees divide " + Count.of(objective().batch(), "sequence")
            : Words.of(
                " does not fit: a device needs %.1f GB, %.1f GB of it for %s, and has room for %.1f GB",
                misfit.least().total() / 1e9,
                misfit.least().largest() / 1e9,
                misfit.least().largestName(),
                room / 1e9);
    return Words.of("%5d%s", misfit.devices(), why);
  }

  /** The first column of every table. */
  static Column<Plan> devices() {
    return Column.of("devices", "%5d", Plan::devices);
  }

  private static Column<Plan> gigabytes(String heading, ToLongFunction<Plan> bytes) {
    return Column.of(heading, "%.1f", plan -> bytes.applyAsLong(plan) / 1e9);
  }
}
