package panamoe.harness.plan;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import panamoe.config.ModelConfig;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.io.WholeOrNothing;
import panamoe.plan.Cluster;
import panamoe.plan.LatencyModel;
import panamoe.plan.Optimizations;
import panamoe.plan.Paper;
import panamoe.plan.Search;
import panamoe.plan.Skew;
import panamoe.plan.TrainingModel;
import panamoe.plan.TrainingSearch;
import panamoe.tensor.DType;
import panamoe.train.RunConfig;
import picocli.CommandLine.ArgGroup;
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
      "Says what serving or training a model takes on a cluster: cards, degrees, time, before any of it is rented.",
      "All times are predictions of a model of the hardware, and no card is needed."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe plan --model 24B+MoE-128 --cluster dgx-a100:64 --latency 40ms",
      "  panamoe plan --config config.json --cluster cluster.json --html plan.html",
      "  panamoe plan --model 1.3B+MoE-128 --cluster dgx-a100:128 --tokens 300e9",
      "  panamoe plan --model ~/Qwen3-30B-A3B --cluster dgx-h100:8",
      "  panamoe plan --paper               the paper's latencies beside the model's",
      "  panamoe plan --calibrate --out own.json    this machine as a cluster",
      "",
      "Nodes: dgx-a100-40, dgx-a100, dgx-h100, hgx-h200, dgx-b200, or a JSON file.",
      "Models: those of the paper, such as 1.3B+MoE-128 and 1.3B+PR-MoE-64/128+MoS;",
      "an unknown name shows them all.",
      "",
      "docs/planning.md says what the predictions stand on. --device, --threads and",
      "--seed, which every command takes, change nothing that is shown."
    })
public final class PlanCommand implements Callable<Integer> {
  private static final List<String> OF_A_SEARCH =
      List.of(
          "--model",
          "--config",
          "--cluster",
          "--latency",
          "--batch",
          "--context",
          "--dtype",
          "--skew",
          "--overlap",
          "--html",
          "--tokens");

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;

  @Option(
      names = "--paper",
      description =
          "Print the DeepSpeed-MoE paper's latencies beside predictions, term by term, and every"
              + " constant.")
  private boolean paper;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "MODEL",
      description =
          "A model of the paper, a run's folder, or a released model's folder or .gguf file, of"
              + " which no weights are read.")
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
      names = "--batch",
      paramLabel = "N",
      description = {
        "Sequences of each data rank. Default: 8.",
        "In training, sequences of a step of all ranks. Default: the config's, or 512."
      })
  private Long batch;

  @Option(
      names = "--context",
      paramLabel = "N",
      description =
          "Tokens of each sequence. Default: the model's context; in training, the config's.")
  private Integer context;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description =
          "f32 or bf16, of weights, keys and values. Default: bf16; in training, the config's.")
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

  @ArgGroup(validate = false, heading = "%nServing:%n")
  private final ServingOptions serving = new ServingOptions();

  @ArgGroup(validate = false, heading = "%nTraining:%n")
  private final TrainingOptions training = new TrainingOptions();

  @Option(
      names = "--html",
      paramLabel = "OUT",
      description =
          "Also write a page with the plans as plots; a file of that name must not exist.")
  private Path html;

  @ArgGroup(exclusive = false, heading = "%nOf this machine:%n")
  private MeasuringOptions measuring = new MeasuringOptions();

  @Override
  public Integer call() throws Exception {
    measuring.check(spec);
    if (measuring.measures()) {
      measure();
      return 0;
    }
    if (paper) {
      requireNone(
          OF_A_SEARCH, "--paper goes alone: it has models and a cluster of its own, and no ");
      requireNone(TrainingOptions.OF_TRAINING, "--paper goes alone, without ");
      Paper fitted = Paper.fitted();
      print(shared.json() ? PaperReport.json(fitted) + "\n" : PaperReport.text(fitted));
      return 0;
    }
    if (model != null && config != null) {
      throw usage("give only one of --model and --config");
    }
    if (model == null && config == null || cluster == null) {
      throw usage("give --model or --config, and --cluster; or --paper, --calibrate or --validate");
    }
    if (html != null && training.config() != null && same(html, training.config())) {
      throw usage("--html and --write-config are both " + html + ", expected two files");
    }
    for (Path out : new Path[] {html, training.config()}) {
      if (out != null) {
        WholeOrNothing.requireFreeFile(out);
      }
    }
    if (training.asked()) {
      train();
    } else {
      serve();
    }
    return 0;
  }

  private static boolean same(Path one, Path other) {
    return one.toAbsolutePath().normalize().equals(other.toAbsolutePath().normalize());
  }

  /** Refuses options, at the end of a sentence. */
  private void requireNone(List<String> options, String sentence) {
    for (String option : options) {
      if (spec.commandLine().getParseResult().hasMatchedOption(option)) {
        throw usage(sentence + option);
      }
    }
  }

  private void serve() throws IOException {
    requireNone(TrainingOptions.OF_TRAINING, "only training, which --tokens plans, has ");
    PlanReport report = serving.report(shared.checked(this::search), skew != null);
    write(html, () -> PlanPage.of(report));
    show(report::json, report::text);
  }

  private void train() throws IOException {
    if (serving.limited()) {
      throw usage("--latency is for serving; --days limits a training run");
    }
    TrainingSearch search = shared.checked(this::trainingSearch);
    training.note(search, spec.commandLine().getErr());
    TrainingReport report = training.report(search, skew != null);
    if (training.config() == null) {
      write(html, () -> TrainingPage.of(report));
    } else { // both or none
      String settings = report.settings().toJson();
      WholeOrNothing.make(
          training.config(),
          hidden -> {
            Files.writeString(hidden, settings);
            write(html, () -> TrainingPage.of(report));
          });
    }
    show(report::json, report::text);
  }

  /** Writes the page if one is asked for. */
  private static void write(Path html, Supplier<String> page) throws IOException {
    if (html != null) {
      String made = page.get();
      WholeOrNothing.make(html, hidden -> Files.writeString(hidden, made));
    }
  }

  private void show(Supplier<ObjectNode> json, Supplier<String> text) {
    print(shared.json() ? json.get() + "\n" : text.get());
  }

  private ModelConfig described() {
    if (config != null) {
      return RunConfig.read(config).model();
    }
    DescribedModel named = DescribedModel.of(model);
    named.note(computeType(), spec.commandLine().getErr());
    return named.config();
  }

  private Skew skew(ModelConfig described) {
    if (skew == null) {
      return Skew.EVEN;
    }
    Skew read = Skew.of(skew);
    read.requireFits(described);
    return read;
  }

  private void measure() throws Exception {
    List<String> others = new ArrayList<>(OF_A_SEARCH);
    others.add("--paper");
    others.remove("--dtype");
    if (measuring.validate != null) {
      others.remove("--cluster");
    }
    requireNone(others, "this machine is measured with models of its own, and no ");
    if (measuring.calibrate) {
      measuring.calibrate(shared, computeType(), spec.commandLine().getOut());
      return;
    }
    Cluster known = cluster == null ? null : shared.checked(() -> Clusters.ofThisMachine(cluster));
    measuring.validate(shared, computeType(), known, spec.commandLine().getOut());
  }

  private DType computeType() {
    return dtype == null ? DType.BFLOAT16 : dtype.dtype();
  }

  private Search search() {
    Cluster wanted = wanted();
    ModelConfig described = described();
    return serving.search(
        name(),
        described,
        sizes(),
        wanted,
        new LatencyModel(
            wanted.node(),
            Clusters.efficiency(wanted),
            Optimizations.PANAMOE.overlapping(overlap),
            skew(described)));
  }

  private Sizes sizes() {
    return new Sizes(batch, context, dtype == null ? null : dtype.dtype());
  }

  private TrainingSearch trainingSearch() {
    training.requireSense();
    Cluster wanted = wanted();
    ModelConfig described = described();
    return training.search(
        name(),
        described,
        config == null ? null : RunConfig.read(config),
        sizes(),
        wanted,
        new TrainingModel(
            wanted.node(),
            Clusters.training(wanted),
            Optimizations.PANAMOE.overlapping(overlap),
            skew(described)));
  }

  private Cluster wanted() {
    return Clusters.read(cluster, spec.commandLine().getErr());
  }

  private String name() {
    return config == null ? model : config.toString();
  }

  private void print(String text) {
    spec.commandLine().getOut().print(text);
  }

  private ParameterException usage(String sentence) {
    return new ParameterException(spec.commandLine(), sentence);
  }
}
