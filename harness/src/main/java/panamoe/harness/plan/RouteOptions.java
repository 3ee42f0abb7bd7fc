package panamoe.harness.plan;

import panamoe.config.ModelConfig;
import panamoe.plan.Optimizations;
import panamoe.plan.Skew;
import picocli.CommandLine.Option;

/** How tokens choose experts in a plan, and how their rows travel. */
final class RouteOptions {
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

  /** Whether tokens are said to choose unevenly. */
  boolean skewed() {
    return skew != null;
  }

  /**
   * How tokens choose.
   *
   * @throws IllegalArgumentException if it cannot be read, or is of another model
   */
  Skew skew(ModelConfig model) {
    if (skew == null) {
      return Skew.EVEN;
    }
    Skew read = Skew.of(skew);
    read.requireFits(model);
    return read;
  }

  Optimizations optimizations() {
    return Optimizations.PANAMOE.overlapping(overlap);
  }
}
