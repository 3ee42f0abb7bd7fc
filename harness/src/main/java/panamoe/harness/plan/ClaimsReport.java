package panamoe.harness.plan;

import java.util.List;
import panamoe.harness.report.Table;
import panamoe.harness.report.Table.Column;
import panamoe.io.Words;
import panamoe.plan.PaperClaims;
import panamoe.plan.PaperClaims.Dense;
import panamoe.plan.PaperClaims.Speedup;
import panamoe.plan.PaperClaims.Throughput;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The claims of {@code plan paper}, after its latencies. */
final class ClaimsReport {
  private static final List<Column<Throughput>> SCALING =
      List.of(
          Column.ofWords("tokens/s of a GPU", each -> "1.3B+MoE-128@" + each.gpus()),
          Column.of("paper", "%.0f", Throughput::published),
          Column.of("model", "%.0f", Throughput::predicted));

  private static final List<Column<Speedup>> SPEEDUPS =
      List.of(
          Column.ofWords("model@GPUs", each -> each.point().name()),
          Column.of("paper", "%.1f", each -> 1e3 * each.published()),
          Column.of("model", "%.1f", each -> 1e3 * each.stages().getFirst().seconds()),
          Column.of("times", "%.1f", Speedup::publishedTimes),
          Column.of("model", "%.1f", Speedup::times),
          share("tables", 1),
          share("exchange", 2),
          share("fused", 3),
          share("slices", 4),
          Column.of("unexplained", "%.0f %%", each -> 100 * (1 - each.share(each.times()))));

  private static final List<Column<Dense>> DENSE =
      List.of(
          Column.ofWords("dense, PyTorch", each -> each.dense() + "@" + each.denseGpus()),
          Column.ofWords("MoE", each -> each.moe().name()),
          Column.of("faster", "%.1f", Dense::faster),
          Column.of("model", "%.1f", Dense::predictedFaster),
          Column.of("cheaper", "%.1f", Dense::cheaper),
          Column.of("model", "%.1f", Dense::predictedCheaper));

  private ClaimsReport() {}

  static void addTo(ObjectNode json, PaperClaims claims) {
    ObjectNode constants = PlanReport.json(claims.constants());
    constants.properties().forEach(e -> json.withObject("constants").set(e.getKey(), e.getValue()));
    for (Throughput each : claims.scaling()) {
      json.withArray("scaling")
          .addObject()
          .put("cards", each.gpus())
          .put("published_tokens_per_s_and_card", each.published())
          .put("predicted_tokens_per_s_and_card", each.predicted());
    }
    for (Speedup each : claims.speedups()) {
      ObjectNode row = json.withArray("pytorch").addObject();
      row.put("name", each.point().name());
      row.put("published_ms", 1e3 * each.published());
      row.put("predicted_ms", 1e3 * each.stages().getFirst().seconds());
      row.put("published_times", each.publishedTimes());
      row.put("predicted_times", each.times());
      ArrayNode stages = row.putArray("optimizations");
      for (int stage = 1; stage < each.stages().size(); stage++) {
        stages
            .addObject()
            .put("name", each.stages().get(stage).optimization())
            .put("times", each.times(stage))
            .put("share", each.share(each.times(stage)));
      }
      row.put("unexplained_share", 1 - each.share(each.times()));
    }
    for (Dense each : claims.dense()) {
      json.withArray("dense")
          .addObject()
          .put("dense", each.dense() + "@" + each.denseGpus())
          .put("moe", each.moe().name())
          .put("published_faster", each.faster())
          .put("predicted_faster", each.predictedFaster())
          .put("published_cheaper", each.cheaper())
          .put("predicted_cheaper", each.predictedCheaper());
    }
  }

  static String text(PaperClaims claims) {
    List<Throughput> scaling = claims.scaling();
    Throughput least = scaling.getFirst();
    Throughput most = scaling.getLast();
    double gpus = (double) most.gpus() / least.gpus();
    return PlanReport.text(
        List.of(
            new Table<>(SCALING, scaling).text(),
            Words.of(
                "With %.0f times the GPUs, throughput is %.1f times as high in the paper, %.1f times by the model.",
                gpus,
                gpus * most.published() / least.published(),
                gpus * most.predicted() / least.predicted()),
            "",
            "The paper's system against PyTorch, and the share of the published speedup (on a log scale)",
            "that the model attributes to each optimization, added one after the other:",
            new Table<>(SPEEDUPS, claims.speedups()).text(),
            "",
            new Table<>(DENSE, claims.dense()).text()));
  }

  /** The share of a published speedup that the model attributes to an optimization. */
  private static Column<Speedup> share(String heading, int stage) {
    return Column.of(
        heading,
        "%.0f %%",
        each -> stage < each.stages().size() ? 100 * each.share(each.times(stage)) : 0.0);
  }
}
