package panamoe.harness.plan;

import java.io.IOException;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.config.ModelConfig;
import panamoe.engine.EngineConfig;
import panamoe.io.Count;
import panamoe.io.Require;
import panamoe.model.LanguageModel;
import panamoe.plan.Cluster;
import panamoe.plan.Plan;
import panamoe.plan.PlanSearch;
import panamoe.plan.ServingObjective;
import panamoe.plan.StepModel;
import panamoe.plan.StepTime;
import panamoe.tensor.DType;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "serve",
    customSynopsis = "panamoe plan serve [OPTIONS] MODEL --cluster=CLUSTER",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Plans serving a model on a cluster: GPUs, parallel degrees, latency, cost.",
    footer = {
      "",
      "Examples:",
      "  panamoe plan serve 24B+MoE-128 --cluster dgx-a100:64 --latency 40ms",
      "  panamoe plan serve --config config.json --cluster cluster.json --html plan.html",
      "  panamoe plan serve ~/Qwen3-30B-A3B --cluster dgx-h100:8",
      "",
      PlanCommand.NODES,
      PlanCommand.MODELS,
      PlanCommand.ALL_MODELS
    })
final class ServingPlanCommand implements Callable<Integer> {
  private static final Pattern TIME = Pattern.compile("(\\d+(?:\\.\\d+)?)(us|ms|s)");

  /** Default prompt length, at most the context. It is prefilled in one step. */
  private static final int PROMPT = EngineConfig.STEP_TOKENS;

  @Mixin private SearchOptions options;

  @Option(
      names = "--batch",
      paramLabel = "N",
      defaultValue = "8",
      description = "Sequences per data rank. Default: ${DEFAULT-VALUE}.")
  private long batch;

  @Option(
      names = "--latency",
      paramLabel = "TIME",
      description = "Largest latency of a token, such as 25ms. Default: no limit.")
  private String latency;

  @Option(
      names = "--prompt",
      paramLabel = "N",
      description = {
        "Tokens of a prompt, for the time to the first token.",
        "Default: " + PROMPT + ", or the context."
      })
  private Integer prompt;

  @Override
  public Integer call() throws IOException {
    options.check();
    PlanSearch search = options.shared.checked(this::search);
    ServingObjective serving = (ServingObjective) search.objective();
    PlanSearch.Found found = SearchOptions.find(search, latency == null ? null : seconds());
    int tokens = prompt != null ? prompt : Math.min(PROMPT, serving.context());
    Map<Plan, StepTime> prompts = new IdentityHashMap<>();
    try (LanguageModel model = new LanguageModel(serving.config())) {
      found.front().forEach(plan -> prompts.put(plan, serving.prompt(model, plan, tokens)));
    }
    PlanReport report =
        new ServingReport(search, found, options.skew(search, PROMPT), tokens, prompts);
    options.write(report);
    options.print(report);
    return 0;
  }

  private PlanSearch search() {
    Cluster cluster = options.cluster();
    ModelConfig model = options.described();
    StepModel times = options.times(cluster, ClusterOption.efficiency(cluster), model);
    if (latency != null) {
      seconds();
    }
    ServingObjective serving =
        new ServingObjective(
            model, times, options.dtype(DType.BFLOAT16), batch, options.context(model.context()));
    if (prompt != null && (prompt < 1 || prompt > serving.context())) {
      throw Require.refusal(
          "the prompt is %s, expected 1 to the context of %s",
          prompt, Count.of(serving.context(), "token"));
    }
    return new PlanSearch(options.model.name(), cluster, serving);
  }

  private double seconds() {
    Matcher time = TIME.matcher(latency);
    double value = time.matches() ? Double.parseDouble(time.group(1)) : 0;
    Require.that(
        value > 0,
        "--latency is '%s', expected a time above 0 in us, ms or s, such as 25ms",
        latency);
    return switch (time.group(2)) {
      case "us" -> value / 1e6;
      case "ms" -> value / 1e3;
      default -> value;
    };
  }
}
