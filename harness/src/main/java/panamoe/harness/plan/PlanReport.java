package panamoe.harness.plan;

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
import panamoe.plan.CostTerm;
import panamoe.plan.Plan;
import panamoe.plan.PlanObjective;
import panamoe.plan.PlanSearch;
import panamoe.plan.StepTime;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** The result of a plan search, as JSON and as tables. */
interface PlanReport {
  PlanSearch search();

  PlanSearch.Found found();

  /** The cost of skew; null if not requested. */
  SkewTable skew();

  default PlanObjective objective() {
    return search().objective();
  }

  String title();

  /** Adds the settings of this kind of plan. */
  void addSettings(ObjectNode json);

  default ObjectNode json(Plan plan) {
    return plan.toJson();
  }

  String launch(Plan plan);

  /** The relation of that command to the fastest plan, such as "served by". */
  String launched();

  /** Columns of a plan in addition to degrees and memory. */
  List<Column<Plan>> columns();

  default Map<String, Table<Plan>> more() {
    return Map.of();
  }

  /** A sentence after the tables; may be empty. */
  String remark();

  /** The plans' figures with their heading, as HTML. */
  String figures();

  default Map<String, Constant> constants() {
    Map<String, Constant> all = new LinkedHashMap<>(objective().times().efficiency().constants());
    all.putAll(search().cluster().node().constants());
    return all;
  }

  /** The whole report as one JSON object. */
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
    for (PlanSearch.Misfit misfit : found().misfits()) {
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

  /** Constants by name, each with its source. */
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

  /** The table of plans: degrees, the columns of this kind, and memory. */
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

  /** In what the plan is the best; may be empty. */
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

  private Table<Plan> terms() {
    List<Column<Plan>> columns = new ArrayList<>();
    columns.add(devices());
    columns.add(
        Column.of(
            "ms/" + objective().phrases().timed(), "%.2f", plan -> 1e3 * plan.time().seconds()));
    columns.addAll(columns(found().fastest().time().terms().keySet(), Plan::time));
    return new Table<>(columns, found().front());
  }

  static <R> List<Column<R>> columns(Collection<CostTerm> terms, Function<R, StepTime> time) {
    return terms.stream()
        .map(
            term ->
                Column.<R>of(
                    term.heading(), "%.2f", row -> 1e3 * time.apply(row).terms().get(term)))
        .toList();
  }

  private Table<Plan> memory() {
    List<Column<Plan>> columns = new ArrayList<>();
    columns.add(devices());
    columns.add(gigabytes("GB", plan -> plan.memory().total()));
    for (String part : found().fastest().memory().parts().keySet()) {
      columns.add(gigabytes(part, plan -> plan.memory().parts().get(part)));
    }
    return new Table<>(columns, found().front());
  }

  /** All tables and remarks, for a terminal. */
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

  /** Joins lines and tables, each ended by a newline. */
  static String text(List<String> lines) {
    return lines.stream()
        .map(line -> line.endsWith("\n") ? line : line + "\n")
        .collect(Collectors.joining());
  }

  private String line(PlanSearch.Misfit misfit) {
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
    return Words.of("%7d%s", misfit.devices(), why);
  }

  static Column<Plan> devices() {
    return Column.of("devices", "%5d", Plan::devices);
  }

  private static Column<Plan> gigabytes(String heading, ToLongFunction<Plan> bytes) {
    return Column.of(heading, "%.1f", plan -> bytes.applyAsLong(plan) / 1e9);
  }
}
