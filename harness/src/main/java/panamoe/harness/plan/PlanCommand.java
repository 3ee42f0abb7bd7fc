package panamoe.harness.plan;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.config.ModelConfig;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.io.WholeOrNothing;
import panamoe.plan.Cluster;
import panamoe.plan.LatencyModel;
import panamoe.plan.NamedModels;
import panamoe.plan.Optimizations;
import panamoe.plan.Paper;
import panamoe.plan.Search;
import panamoe.train.RunConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code panamoe plan}. */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Says what serving a model takes on a cluster: cards, degrees, latency, before any of it is rented.",
      "All times are predictions of a model of the hardware, and no card is needed."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe plan --model 24B+MoE-128 --cluster dgx-a100:64 --latency 40ms",
      "  panamoe plan --config config.json --cluster cluster.json --html plan.html",
      "  panamoe plan --paper               the paper's latencies beside the model's",
      "",
      "Nodes: dgx-a100-40, dgx-a100, dgx-h100, hgx-h200, dgx-b200, or a JSON file.",
      "Models: those of the paper, such as 1.3B+MoE-128 and 1.3B+PR-MoE-64/128+MoS;",
      "an unknown name shows them all.",
      "",
      "docs/planning.md says what the predictions stand on. --device, --threads and",
      "--seed, which every command takes, change nothing that is shown."
    })
public final class PlanCommand implements Callable<Integer> {
  private static final Pattern TIME = Pattern.compile("(\\d+(?:\\.\\d+)?)(us|ms|s)");

  private static final List<String> OF_A_SEARCH =
      List.of(
          "--model",
          "--config",
          "--cluster",
          "--latency",
          "--batch",
          "--context",
          "--dtype",
          "--html");

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;

  @Option(
      names = "--paper",
      description =
          "Print the DeepSpeed-MoE paper's latencies beside predictions, term by term, and every constant.")
  private boolean paper;

  @Option(names = "--model", paramLabel = "NAME", description = "A model of the paper.")
  private String model;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "In the place of --model: a config.json as train --config takes it.")
  private Path config;

  @Option(
      names = "--cluster",
      paramLabel = "CLUSTER",
      description = "NODE:CARDS, the most cards to plan with, or a JSON file (docs/planning.md).")
  private String cluster;

  @Option(
      names = "--latency",
      paramLabel = "TIME",
      description = "Most time for a token, such as 25ms. Default: no limit.")
  private String latency;

  @Option(
      names = "--batch",
      paramLabel = "N",
      defaultValue = "8",
      description = "Sequences of each data rank. Default: ${DEFAULT-VALUE}.")
  private long batch;

  @Option(
      names = "--context",
      paramLabel = "N",
      description = "Tokens of each sequence. Default: the model's context.")
  private Integer context;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = "f32 or bf16, of weights, keys and values. Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  @Option(
      names = "--html",
      paramLabel = "OUT",
      description =
          "Also write a page with the plans as plots; a file of that name must not exist.")
  private Path html;

  @Override
  public Integer call() throws IOException {
    if (paper) {
      for (String option : OF_A_SEARCH) {
        if (spec.commandLine().getParseResult().hasMatchedOption(option)) {
          throw usage(
              "--paper goes alone: it has models and a cluster of its own, and no " + option);
        }
      }
      Paper fitted = Paper.fitted();
      print(shared.json() ? PaperReport.json(fitted) + "\n" : PaperReport.text(fitted));
      return 0;
    }
    if ((model == null) == (config == null) || cluster == null) {
      throw usage("give --model or --config, and --cluster; or --paper");
    }
    Double seconds = latency == null ? null : seconds();
    if (html != null) {
      WholeOrNothing.requireFree(html);
    }
    Search search = shared.checked(this::search);
    PlanReport report =
        new PlanReport(search, seconds == null ? search.find() : search.find(seconds));
    if (html != null) {
      String page = PlanPage.of(report);
      WholeOrNothing.make(html, hidden -> Files.writeString(hidden, page));
    }
    print(shared.json() ? report.json() + "\n" : report.text());
    return 0;
  }

  private Search search() {
    Cluster wanted = Cluster.of(cluster);
    ModelConfig described = config == null ? NamedModels.of(model) : RunConfig.read(config).model();
    return new Search(
        config == null ? model : config.toString(),
        described,
        wanted,
        new LatencyModel(wanted.node(), Paper.fitted().efficiency(), Optimizations.PANAMOE),
        dtype.dtype(),
        batch,
        context == null ? described.context() : context);
  }

  private double seconds() {
    Matcher time = TIME.matcher(latency);
    double value = time.matches() ? Double.parseDouble(time.group(1)) : 0;
    if (!(value > 0)) {
      throw usage("--latency is '" + latency + "', expected a time above 0 such as 25ms or 0.5s");
    }
    return switch (time.group(2)) {
      case "us" -> value / 1e6;
      case "ms" -> value / 1e3;
      default -> value;
    };
  }

  private void print(String text) {
    spec.commandLine().getOut().print(text);
  }

  private ParameterException usage(String sentence) {
    return new ParameterException(spec.commandLine(), sentence);
  }
}
