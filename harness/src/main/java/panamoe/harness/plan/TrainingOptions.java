package panamoe.harness.plan;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import panamoe.config.ModelConfig;
import panamoe.harness.PartBar;
import panamoe.plan.Cluster;
import panamoe.plan.Faults;
import panamoe.plan.NamedModels;
import panamoe.plan.SkewSweep;
import panamoe.plan.TrainingModel;
import panamoe.plan.TrainingPlan;
import panamoe.plan.TrainingSearch;
import panamoe.train.RunConfig;
import panamoe.train.TrainConfig;
import picocli.CommandLine.Option;

/** The options of {@code plan} that make it plan training. */
final class TrainingOptions {
  /** All of them that say nothing without {@code --tokens}. */
  static final List<String> OF_TRAINING =
      List.of("--days", "--price", "--mtbf", "--checkpoint-every", "--write-config");

  private static final int BATCH = 512;
  private static final int MOST_BATCH = 1 << 16;
  private static final double MOST_TOKENS = 1e18;
  private static final double MOST_DAYS = 1e6;
  private static final double MOST_PRICE = 1e6;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      description = "Plan a training run over N tokens, such as 300e9, in the place of serving.")
  private Double tokens;

  @Option(
      names = "--days",
      paramLabel = "N",
      description = "Most days of a training run. Default: no limit.")
  private Double days;

  @Option(
      names = "--price",
      paramLabel = "X",
      description = "Price of a card for an hour, by which training's cost is shown.")
  private Double price;

  @Option(
      names = "--mtbf",
      paramLabel = "HOURS",
      description =
          "Mean time between failures of a card: also plan what failures and checkpoints cost a training run. Default: "
              + "none, or 50000 where --write-config would write a run without checkpoints.")
  private Double mtbf;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "STEPS",
      description = "Steps between checkpoints. Default: the interval that is best for --mtbf.")
  private Integer checkpointEvery;

  @Option(
      names = "--write-config",
      paramLabel = "OUT",
      description = "Also write the fastest plan's config.json, with which train runs it.")
  private Path config;

  /** Whether training is planned. */
  boolean asked() {
    return tokens != null;
  }

  /** Where a config.json is written; null: nowhere. */
  Path config() {
    return config;
  }

  /**
   * @throws IllegalArgumentException if a number makes no sense
   */
  void requireSense() {
    require("--tokens", tokens, MOST_TOKENS);
    require("--days", days, MOST_DAYS);
    require("--price", price, MOST_PRICE);
    if (checkpointEvery != null && mtbf == null) {
      throw new IllegalArgumentException(
          "--checkpoint-every goes with --mtbf, which says how often cards fail");
    }
    if (checkpointEvery != null && checkpointEvery < 1) {
      throw new IllegalArgumentException(
          "--checkpoint-every is " + checkpointEvery + ", expected 1 or more steps");
    }
  }

  private static void require(String name, Double value, double most) {
    if (value != null && !(value > 0 && value <= most)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT, "%s is %s, expected more than 0 and at most %,.0f", name, value, most));
    }
  }

  /**
   * The search over a model's training.
   *
   * @param given a run whose settings hold where no option says otherwise; null: a model alone
   * @throws IllegalArgumentException if settings make no sense
   */
  TrainingSearch search(
      String name,
      ModelConfig model,
      RunConfig given,
      Sizes sizes,
      Cluster cluster,
      TrainingModel times) {
    if (given != null && given.distillation() != null) {
      throw new IllegalArgumentException(
          name + " has a distillation; training with a teacher is not planned");
    }
    TrainConfig settings = given == null ? null : given.training();
    long batch =
        sizes.batch() != null ? sizes.batch() : settings == null ? BATCH : settings.batch();
    if (batch < 1 || batch > MOST_BATCH) {
      throw new IllegalArgumentException(
          "the batch is " + batch + ", expected 1 to " + MOST_BATCH + " sequences");
    }
    int sequence =
        sizes.context() != null
            ? sizes.context()
            : settings == null ? model.context() : settings.sequence();
    if (sequence < 1 || sequence > model.context()) {
      throw new IllegalArgumentException(
          "the context is "
              + sequence
              + ", expected 1 to the model's "
              + model.context()
              + " tokens");
    }
    double steps = Math.ceil(tokens / ((double) batch * sequence));
    if (steps > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "these tokens take more than 2^31 steps of "
              + batch
              + " sequences; a larger --batch makes fewer");
    }
    TrainConfig training =
        settings == null
            ? NamedModels.training(model, (int) steps, (int) batch, sequence)
            : settings.withSteps((int) steps).withBatch((int) batch, 1).withSequence(sequence);
    RunConfig run =
        new RunConfig(
            model,
            sizes.dtype() == null ? training : training.withDType(sizes.dtype()),
            given == null ? 1 : given.seed());
    return new TrainingSearch(name, run, cluster, times, checkpoints(training));
  }

  /** A run that is written saves now and then, also where nobody says how often cards fail. */
  private TrainingSearch.Checkpoints checkpoints(TrainConfig training) {
    if (mtbf != null) {
      return new TrainingSearch.Checkpoints(
          new Faults(mtbf), checkpointEvery == null ? 0 : checkpointEvery);
    }
    return config == null || training.checkpointEvery() > 0
        ? null
        : new TrainingSearch.Checkpoints(new Faults(Faults.USUAL_HOURS), 0);
  }

  /** Says which failures checkpoints are planned for, where nobody said so. */
  void note(TrainingSearch search, PrintWriter notes) {
    if (mtbf == null && search.checkpoints() != null) {
      notes.printf(
          Locale.ROOT,
          "note: without --mtbf, checkpoints are planned for cards that fail once in %,.0f hours%n",
          search.checkpoints().faults().meanHours());
    }
  }

  private TrainingSearch.Found found(TrainingSearch search) {
    try (PartBar bar = PartBar.onStandardError("planning")) {
      TrainingSearch.Found found = search.find(bar);
      return days == null ? found : search.within(days, found);
    }
  }

  /**
   * What the search finds.
   *
   * @param skewed whether what skew costs is shown
   */
  TrainingReport report(TrainingSearch search, boolean skewed) {
    TrainingSearch.Found found = found(search);
    TrainingPlan fastest = found.fastest();
    SkewTable table =
        skewed
            ? SkewTable.of(
                new SkewSweep(
                    search.run().model(),
                    search.model().skew(),
                    fastest.training().work(fastest.topology()).tokens(),
                    search.cluster().cards()))
            : null;
    return new TrainingReport(
        search, found, price, config == null ? null : config.toString(), table);
  }
}
