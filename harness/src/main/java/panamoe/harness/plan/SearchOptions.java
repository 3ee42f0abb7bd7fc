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
import panamoe.plan.PlanSearch;
import panamoe.plan.Skew;
import panamoe.plan.StepModel;
import panamoe.tensor.DType;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The options that {@code plan serve} and {@code plan train} share. */
final class SearchOptions {
  @Mixin SharedOptions shared;
  @Mixin DescribedModelOptions model;

  @Option(
      names = "--cluster",
      paramLabel = "CLUSTER",
      required = true,
      description =
          "NODE:GPUS, the largest cluster to plan with, or a JSON file (docs/planning.md).")
  private String cluster;

  @Option(
      names = "--context",
      paramLabel = "N",
      description = "Tokens per sequence. Default: the model's context, or that of its training.")
  private Integer context;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "Dtype of weights and activations, f32 or bf16. Default: bf16, or that of its training.")
  private ComputeType dtype;

  @Option(
      names = "--skew",
      paramLabel = "S",
      description = {
        "How unevenly tokens choose experts: the exponent of Zipf's law, or a file with the answer of GET /v1/moe/stats. Also shows the routes that capacities drop and the gain of expert replicas. Default: even."
      })
  private String skew;

  @Option(
      names = "--overlap",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Rows travel in N parts while their rank computes, like --overlap of train and serve; serving is planned with 0 or 1. Default: ${DEFAULT-VALUE}.")
  private int overlap;

  @Option(
      names = "--html",
      paramLabel = "OUT",
      description =
          "Also write an HTML page with plots of the plans to this file, which must not exist.")
  Path html; // null for no page

  void check() {
    shared.require(model.one(), "give one of MODEL and --config");
    if (html != null) {
      OutputPlace.requireNewFile(html, "--html");
    }
  }

  Cluster cluster() {
    return ClusterOption.read(cluster, shared.err());
  }

  /** Reads the model, and prints a note if its weights are quantized. */
  ModelConfig described() {
    String counted = dtype(DType.BFLOAT16).name().toLowerCase(Locale.ROOT);
    return model.described(
        name ->
            shared.note(
                "note: the weights of %s are quantized; the plan counts them in %s",
                name, counted));
  }

  int context(int usual) {
    return context == null ? usual : context;
  }

  DType dtype(DType usual) {
    return dtype == null ? usual : dtype.dtype();
  }

  /**
   * @throws IllegalArgumentException if the skew cannot be read or belongs to another model
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
   * Searches with a progress bar.
   *
   * @param most limit of a plan's seconds; null for none
   */
  static PlanSearch.Found find(PlanSearch search, Double most) {
    try (PartBar bar = PartBar.onStandardError("planning")) {
      PlanSearch.Found found = search.find(bar);
      return most == null ? found : search.within(most, found);
    }
  }

  /**
   * The cost of skew; null if not requested.
   *
   * @param tokens per rank
   */
  SkewTable skew(PlanSearch search, long tokens) {
    return skew == null ? null : SkewTable.of(search, tokens);
  }

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
