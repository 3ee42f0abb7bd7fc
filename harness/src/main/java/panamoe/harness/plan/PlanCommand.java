package panamoe.harness.plan;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import panamoe.config.ModelConfig;
import panamoe.harness.ComputeType;
import panamoe.harness.OutputPlace;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.io.WholeOrNothing;
import panamoe.plan.Cluster;
import panamoe.plan.LatencyModel;
import panamoe.plan.Paper;
import panamoe.plan.Search;
import panamoe.plan.TrainingModel;
import panamoe.plan.TrainingSearch;
import panamoe.tensor.DType;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** {@code panamoe plan}. */
@Command(
    name = "plan",
    customSynopsis = "panamoe plan [OPTIONS] MODEL --cluster=CLUSTER",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Says what serving or training a model takes on a cluster: cards, degrees, time, before any of it is rented.",
      "All times are predictions of a model of the hardware, and no card is needed."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe plan 24B+MoE-128 --cluster dgx-a100:64 --latency 40ms",
      "  panamoe plan --config config.json --cluster cluster.json --html plan.html",
      "  panamoe plan 1.3B+MoE-128 --cluster dgx-a100:128 --tokens 300e9",
      "  panamoe plan ~/Qwen3-30B-A3B --cluster dgx-h100:8",
      "  panamoe plan --paper               the paper's latencies beside the model's",
      "  panamoe plan --calibrate --out own.json    this machine as a cluster",
      "",
      "Nodes: dgx-a100-40, dgx-a100, dgx-h100, hgx-h200, dgx-b200, or a JSON file.",
      "Models: those of the paper, such as 1.3B+MoE-128 and 1.3B+PR-MoE-64/128+MoS;",
      "an unknown name shows them all.",
      "",
      "docs/planning.md says what the predictions stand on. --device, --threads and",
      "--seed, which every command takes, are for --calibrate and --validate alone."
    })
public final class PlanCommand implements Subcommand {
  private static final List<String> OF_A_SEARCH =
      List.of(
          "MODEL",
          "--model",
          "--config",
          "--cluster",
          "--latency",
          "--prompt",
          "--batch",
          "--context",
          "--dtype",
          "--skew",
          "--overlap",
          "--html",
          "--tokens");

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;
  @Mixin private DescribedModelOptions model;
  @Mixin private RouteOptions routes;

  @Option(
      names = "--paper",
      description =
          "Print the DeepSpeed-MoE paper's latencies beside predictions, term by term, and every"
              + " constant.")
  private boolean paper;

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
    if (model.several()) {
      throw usage("give only one of MODEL (or --model) and --config");
    }
    if (model.none() || cluster == null) {
      throw usage("give MODEL or --config, and --cluster; or --paper, --calibrate or --validate");
    }
    if (html != null && training.config() != null && same(html, training.config())) {
      throw usage("--html and --write-config are both " + html + ", expected two files");
    }
    if (html != null) {
      OutputPlace.requireNewFile(html, "--html");
    }
    if (training.config() != null) {
      OutputPlace.requireNewFile(training.config(), "--write-config");
    }
    PlanReport<?> report = training.asked() ? train() : serve();
    write(report);
    print(shared.json() ? report.json() + "\n" : new PlanTables<>(report).text());
    return 0;
  }

  private static boolean same(Path one, Path other) {
    return one.toAbsolutePath().normalize().equals(other.toAbsolutePath().normalize());
  }

  /** Refuses options, at the end of a sentence. */
  private void requireNone(List<String> options, String sentence) {
    for (String option : options) {
      ParseResult given = spec.commandLine().getParseResult();
      if (given.hasMatchedOption(option)
          || option.equals("MODEL") && given.hasMatchedPositional(0)) {
        throw usage(sentence + option);
      }
    }
  }

  private PlanReport<?> serve() {
    requireNone(TrainingOptions.OF_TRAINING, "only training, which --tokens plans, has ");
    return serving.report(shared.checked(this::search), routes.skewed());
  }

  private PlanReport<?> train() {
    requireNone(ServingOptions.OF_SERVING, "only serving, not training, has ");
    TrainingSearch search = shared.checked(this::trainingSearch);
    training.note(search, spec.commandLine().getErr());
    return training.report(search, routes.skewed());
  }

  /** Writes the page and the settings that were asked for, both or none. */
  private void write(PlanReport<?> report) throws IOException {
    String page = html == null ? null : new PlanPage<>(report).html();
    if (report instanceof TrainingReport trained && training.config() != null) {
      String settings = trained.run().toJson();
      WholeOrNothing.make(
          training.config(),
          hidden -> {
            Files.writeString(hidden, settings);
            write(page);
          });
    } else {
      write(page);
    }
  }

  private void write(String page) throws IOException {
    if (page != null) {
      WholeOrNothing.make(html, hidden -> Files.writeString(hidden, page));
    }
  }

  private ModelConfig described() {
    DescribedModel named = model.described();
    named.note(computeType(), spec.commandLine().getErr());
    return named.config();
  }

  private void measure() throws Exception {
    List<String> others = new ArrayList<>(OF_A_SEARCH);
    others.addAll(TrainingOptions.OF_TRAINING);
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
    Cluster known =
        cluster == null
            ? null
            : shared.checked(() -> Clusters.ofThisMachine(cluster, measuring.validate));
    measuring.validate(shared, computeType(), known, spec.commandLine().getOut());
  }

  private DType computeType() {
    return dtype == null ? DType.BFLOAT16 : dtype.dtype();
  }

  private Search search() {
    Cluster wanted = wanted();
    ModelConfig described = described();
    return serving.search(
        model.name(),
        described,
        sizes(),
        wanted,
        new LatencyModel(
            wanted.node(),
            Clusters.efficiency(wanted),
            routes.optimizations(),
            routes.skew(described)));
  }

  private Sizes sizes() {
    return new Sizes(batch, context, dtype == null ? null : dtype.dtype());
  }

  private TrainingSearch trainingSearch() {
    training.requireSense();
    Cluster wanted = wanted();
    ModelConfig described = described();
    return training.search(
        model.name(),
        described,
        model.run(),
        sizes(),
        wanted,
        new TrainingModel(
            wanted.node(),
            Clusters.training(wanted),
            routes.optimizations(),
            routes.skew(described)));
  }

  private Cluster wanted() {
    return Clusters.read(cluster, spec.commandLine().getErr());
  }

  private void print(String text) {
    spec.commandLine().getOut().print(text);
  }

  private ParameterException usage(String sentence) {
    return new ParameterException(spec.commandLine(), sentence);
  }
}
