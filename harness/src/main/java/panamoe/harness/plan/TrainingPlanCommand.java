package panamoe.harness.plan;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import panamoe.config.ModelConfig;
import panamoe.harness.OutputPlace;
import panamoe.io.Require;
import panamoe.io.WholeOrNothing;
import panamoe.plan.Cluster;
import panamoe.plan.FailureCost;
import panamoe.plan.NamedModels;
import panamoe.plan.Plan;
import panamoe.plan.PlanSearch;
import panamoe.plan.StepModel;
import panamoe.plan.TrainingObjective;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "train",
    customSynopsis = "panamoe plan train [OPTIONS] MODEL --cluster=CLUSTER --tokens=N",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Plans training a model on a cluster: GPUs, parallel degrees, days, cost.",
    footer = {
      "",
      "Examples:",
      "  panamoe plan train 1.3B+MoE-128 --cluster dgx-a100:128 --tokens 300e9 --price 2",
      "  panamoe plan train --config config.json --cluster own.json --tokens 1e9",
      "",
      PlanCommand.NODES,
      PlanCommand.MODELS,
      PlanCommand.ALL_MODELS
    })
final class TrainingPlanCommand implements Callable<Integer> {
  private static final int BATCH = 512;
  private static final double MOST_TOKENS = 1e18;
  private static final double MOST_DAYS = 1e6;
  private static final double MOST_PRICE = 1e6;

  @Mixin private SearchOptions options;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      required = true,
      description = "Tokens of the whole run, such as 300e9.")
  private double tokens;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Sequences per step over all ranks. Default: that of the config, or 512.")
  private Long batch;

  @Option(
      names = "--days",
      paramLabel = "N",
      description = "Limit of the run's days. Default: no limit.")
  private Double days;

  @Option(
      names = "--price",
      paramLabel = "X",
      description = "Price of a GPU-hour, to print the cost of the run.")
  private Double price;

  @Option(
      names = "--mtbf",
      paramLabel = "HOURS",
      description =
          "Mean hours between failures of one GPU: adds the cost of failures and checkpoints. Default: none, or 50000 if --write-config would write a run without checkpoints.")
  private Double mtbf;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "STEPS",
      description = "Steps between checkpoints. Default: the best interval for --mtbf.")
  private Integer checkpointEvery;

  @Option(
      names = "--write-config",
      paramLabel = "OUT",
      description = "Also write the fastest plan's config.json for train --config.")
  private Path config;

  @Override
  public Integer call() throws IOException {
    options.check();
    options.shared.require(
        config == null || options.html == null || !same(config, options.html),
        "--html and --write-config are both " + options.html + ", expected two files");
    if (config != null) {
      OutputPlace.requireNewFile(config, "--write-config");
    }
    PlanSearch search = options.shared.checked(this::search);
    TrainingObjective training = (TrainingObjective) search.objective();
    note(training);
    PlanSearch.Found found = SearchOptions.find(search, days == null ? null : days * Plan.DAY);
    Plan fastest = found.fastest();
    long tokensOfRank = fastest.training().work(fastest.topology()).tokens();
    PlanReport report =
        new TrainingReport(search, found, options.skew(search, tokensOfRank), price, config);
    if (config == null) {
      options.write(report);
    } else {
      String settings = fastest.run(training.run()).toJson();
      WholeOrNothing.make(
          config,
          hidden -> { // both files or none
            Files.writeString(hidden, settings);
            options.write(report);
          });
    }
    options.print(report);
    return 0;
  }

  private static boolean same(Path one, Path other) {
    return one.toAbsolutePath().normalize().equals(other.toAbsolutePath().normalize());
  }

  /** Prints the assumed failure rate if {@code --mtbf} is not given. */
  private void note(TrainingObjective training) {
    if (mtbf == null && training.checkpoints() != null) {
      options.shared.note(
          "note: without --mtbf, checkpoints are planned for one failure per device in %,.0f hours",
          training.checkpoints().faults().meanHours());
    }
  }

  private PlanSearch search() {
    require("--tokens", tokens, MOST_TOKENS);
    require("--days", days, MOST_DAYS);
    require("--price", price, MOST_PRICE);
    Require.that(
        checkpointEvery == null || mtbf != null,
        "--checkpoint-every needs --mtbf, the mean hours between failures of a device");
    Require.that(
        checkpointEvery == null || checkpointEvery >= 1,
        "--checkpoint-every is %s, expected 1 or more steps",
        checkpointEvery);
    Cluster cluster = options.cluster();
    ModelConfig model = options.described();
    StepModel times = options.times(cluster, ClusterOption.training(cluster), model);
    RunConfig run = run(model, options.model.run());
    return new PlanSearch(
        options.model.name(),
        cluster,
        new TrainingObjective(run, times, checkpoints(run.training())));
  }

  private static void require(String name, Double value, double most) {
    if (value != null && !(value > 0 && value <= most)) {
      throw Require.refusal("%s is %s, expected more than 0 and at most %,.0f", name, value, most);
    }
  }

  /**
   * The run to plan.
   *
   * @param given settings that options override; null for a model alone
   */
  private RunConfig run(ModelConfig model, RunConfig given) {
    Require.that(
        given == null || given.distillation() == null,
        "%s has a distillation; training with a teacher is not planned",
        options.model.name());
    TrainConfig settings = given == null ? null : given.training();
    long sequences =
        batch != null ? batch : settings == null ? BATCH : settings.batch().sequences();
    int length = options.context(settings == null ? model.context() : settings.batch().length());
    PlanSearch.requireSizes(sequences, length, model);
    double steps = Math.ceil(tokens / ((double) sequences * length));
    if (steps > Integer.MAX_VALUE) {
      throw Require.refusal(
          "these tokens take more than 2^31 steps of %s sequences; take a larger --batch",
          sequences);
    }
    TrainConfig training =
        settings == null
            ? NamedModels.training(model, (int) steps, (int) sequences, length)
            : settings
                .withSteps((int) steps)
                .with(new TrainConfig.Batch((int) sequences, length, 1));
    return new RunConfig(
        model,
        training.withDType(options.dtype(training.dtype())),
        given == null ? 1 : given.seed());
  }

  /** A written config always has checkpoints, also without {@code --mtbf}. */
  private TrainingObjective.Checkpoints checkpoints(TrainConfig training) {
    if (mtbf == null && (config == null || training.checkpoints().every() > 0)) {
      return null;
    }
    return new TrainingObjective.Checkpoints(
        new FailureCost(mtbf == null ? FailureCost.USUAL_HOURS : mtbf),
        checkpointEvery == null ? 0 : checkpointEvery);
  }
}
