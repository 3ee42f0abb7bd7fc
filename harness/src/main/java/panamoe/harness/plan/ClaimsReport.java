package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Locale;
import panamoe.plan.PaperClaims;
import panamoe.plan.PaperClaims.Dense;
import panamoe.plan.PaperClaims.Speedup;
import panamoe.plan.PaperClaims.Throughput;

/** The part of {@code plan --paper} behind the latencies. */
final class ClaimsReport {
  private ClaimsReport() {}

  static void addTo(ObjectNode json, PaperClaims claims) {
    ObjectNode constants = Constants.json(claims.constants());
    constants.properties().forEach(e -> json.withObject("constants").set(e.getKey(), e.getValue()));
    for (Throughput each : claims.scaling()) {
      json.withArray("scaling")
          .addObject()
          .put("cards", each.cards())
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
          .put("dense", each.dense() + "@" + each.denseCards())
          .put("moe", each.moe().name())
          .put("published_faster", each.faster())
          .put("predicted_faster", each.predictedFaster())
          .put("published_cheaper", each.cheaper())
          .put("predicted_cheaper", each.predictedCheaper());
    }
  }

  static String text(PaperClaims claims) {
    StringBuilder text = new StringBuilder();
    line(text, "%-27s %6s %6s", "tokens/s of a card", "paper", "model");
    List<Throughput> scaling = claims.scaling();
    for (Throughput each : scaling) {
      String name = "1.3B+MoE-128@" + each.cards();
      line(text, "%-27s %6.0f %6.0f", name, each.published(), each.predicted());
    }
    Throughput least = scaling.getFirst();
    Throughput most = scaling.getLast();
    double cards = (double) most.cards() / least.cards();
    line(
        text,
        "%-27s %6.1f %6.1f",
        String.format(Locale.ROOT, "of all, on %.0f times as many", cards),
        cards * most.published() / least.published(),
        cards * most.predicted() / least.predicted());
    line(text, "");
    line(
        text,
        "The paper's system beside PyTorch, and the share of the published speed-up (as a product");
    line(text, "of factors) that each optimization is by the model, one on top of the other:");
    line(
        text,
        "%-27s %6s %6s %6s %6s %7s %9s %6s %7s %11s",
        "model@cards",
        "paper",
        "model",
        "times",
        "model",
        "tables",
        "exchange",
        "fused",
        "slices",
        "unexplained");
    for (Speedup each : claims.speedups()) {
      line(
          text,
          "%-27s %6.1f %6.1f %6.1f %6.1f %6.0f%% %8.0f%% %5.0f%% %6.0f%% %10.0f%%",
          each.point().name(),
          1e3 * each.published(),
          1e3 * each.stages().getFirst().seconds(),
          each.publishedTimes(),
          each.times(),
          share(each, 1),
          share(each, 2),
          share(each, 3),
          each.stages().size() > 4 ? share(each, 4) : 0,
          100 * (1 - each.share(each.times())));
    }
    line(text, "");
    line(
        text,
        "%-52s %6s %6s %8s %6s",
        "dense, PyTorch -> MoE",
        "faster",
        "model",
        "cheaper",
        "model");
    for (Dense each : claims.dense()) {
      line(
          text,
          "%-52s %6.1f %6.1f %8.1f %6.1f",
          each.dense() + "@" + each.denseCards() + " -> " + each.moe().name(),
          each.faster(),
          each.predictedFaster(),
          each.cheaper(),
          each.predictedCheaper());
    }
    line(text, "");
    return text.toString();
  }

  private static double share(Speedup each, int stage) {
    return 100 * each.share(each.times(stage));
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format + "%n", values));
  }
}
