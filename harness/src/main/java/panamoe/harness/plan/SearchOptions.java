package panamoe.harness.plan;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import panamoe.config.ModelConfig;
import panamoe.harness.ComputeType;
import panamoe.harness.OutputPlace;
import panamoe.harness.PartBar;
import panamoe.harness.SharedOptions;
import panamoe.io.WholeOrNothing;
import panamoe.plan.Cluster;
import panamoe.plan.Efficiency;
import panamoe.plan.Optimizations;
import panamoe.plan.Search;
import panamoe.plan.Skew;
import panamoe.plan.StepModel;
import panamoe.tensor.DType;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options of {@code plan serve} and {@code plan train} that both have. */
final class SearchOptions {
  @Mixin SharedOptions shared;
  @Mixin DescribedModelOptions model;

  @Option(
      names = "--cluster",
      paramLabel = "CLUSTER",
      required = true,
      description = "NODE:GPUS, the most devices to plan with, or a JSON file (docs/planning.md).")
  private String cluster;

  @Option(
      names = "--context",
      paramLabel = "N",
      description = "Tokens of each sequence. Default: the model's context, or its training's.")
  private Integer context;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description = "f32 or bf16, of weights and activations. Default: bf16, or its training's.")
  private ComputeType dtype;

  @Option(
      names = "--skew",
      paramLabel = "S",
      description = {
        "How unevenly tokens choose experts: the exponent of Zipf's law, or a file of counts, as GET /v1/moe/stats"
            + " answers. Also shows what capacities drop and copies of experts gain. Default: even."
      })
  private String skew;

  @Option(
      names = "--overlap",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Rows travel in N parts while their rank computes, as with train's and serve's --overlap; serving is planned with 0 or 1. Default: ${DEFAULT-VALUE}.")
  private int overlap;

  @Option(
      names = "--html",
      paramLabel = "OUT",
      description =
          "Also write a page with the plans as plots; a file of that name must not exist.")
  Path html; // null: no page is written

  /** Refuses what could not be planned or written. */
  void check() {
    shared.require(model.one(), "give one of MODEL (or --model) and --config");
    if (html != null) {
      OutputPlace.requireNewFile(html, "--html");
    }
  }

  Cluster cluster() {
    return Clusters.read(cluster, shared.err());
  }

  /** The model, with a note where its weights are not counted as they are stored. */
  ModelConfig described() {
    String counted = dtype(DType.BFLOAT16).name().toLowerCase(Locale.ROOT);
    return model.described(
        path ->
            shared.note(
                "note: weights of %s are stored in blocks; the plan counts them in %s",
                path, counted));
  }

  int context(int usual) {
    return context == null ? usual : context;
  }

  DType dtype(DType usual) {
    return dtype == null ? usual : dtype.dtype();
  }

  /**
   * @throws IllegalArgumentException if the skew cannot be read, or is of another model
   */
  StepModel times(Cluster wanted, Efficiency efficiency, ModelConfig config) {
    Skew chosen = skew == null ? Skew.EVEN : Skew.of(skew);
    Optimizations optimizations = Optimizations.PANAMOE.overlapping(overlap);
    if (skew != null) {
      chosen.requireFits(config);
    }
    return new StepModel(wanted.node(), efficiency, optimizations, chosen);
  }

  /**
   * Looks at every plan, with a bar.
   *
   * @param most seconds of a plan; null: any
   */
  static Search.Found find(Search search, Double most) {
    try (PartBar bar = PartBar.onStandardError("planning")) {
      Search.Found found = search.find(bar);
      return most == null ? found : search.within(most, found);
    }
  }

  /**
   * What skew costs; null if it was not asked for.
   *
   * @param tokens of a rank
   */
  SkewTable skew(Search search, long tokens) {
    return skew == null ? null : SkewTable.of(search, tokens);
  }

  /** Writes the page that was asked for. */
  void write(PlanReport report) throws IOException {
    if (html != null) {
      String page = new PlanPage(report).html();
      WholeOrNothing.make(html, hidden -> Files.writeString(hidden, page));
    }
  }

  void print(PlanReport report) {
    shared.out().print(shared.json() ? report.json() + "\n" : report.text());
  }
}
