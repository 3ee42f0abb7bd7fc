package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import panamoe.conversation.ChatFormat;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.harness.report.AdaptedParts;
import panamoe.harness.report.RunDirectory;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.open.FolderChat;
import panamoe.open.ModelFolder;
import panamoe.parallel.Topology;
import panamoe.parallel.TopologyText;
import panamoe.tensor.DType;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/**
 * A command that trains into a folder: a new or a resumed run, on one rank or several. The subclass
 * chooses what to train.
 */
abstract class RunCommand implements Subcommand {
  /**
   * The start of a new run.
   *
   * @param teacher null: none
   */
  record Start(RunConfig config, ModelFolder teacher) {}

  /** Options of every command that change what a run computes. */
  static final List<String> SETTINGS = List.of("--steps", "--dtype", "--recompute", "--seed");

  /** Begins the message that refuses options with {@code --config}. */
  static final String CONFIG_HOLDS = "--config holds every setting; leave out ";

  @Mixin SharedOptions shared;
  @Mixin private RankOptions rankOptions;
  @Mixin CorpusOptions texts;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      description = "Folder of the run. Required.")
  private Path out;

  @Option(
      names = "--resume",
      description = "Continue after the last checkpoint in DIR, on the same text.")
  private boolean resume;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description =
          "Optimizer steps in total. Default: the preset's or the teacher's; with --resume, as many"
              + " as before.")
  Integer steps; // null for the default

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description = "f32 (default) or bf16 with float32 masters.")
  private ComputeType dtype;

  @Option(
      names = "--recompute",
      description = "Use less memory: compute each layer again in the backward.")
  boolean recompute;

  @Option(names = "--explain-topology", description = "Print what each rank would hold, and exit.")
  private boolean explain;

  @Override
  public Integer call() throws Exception {
    if (explain) {
      return explain();
    }
    shared.require(out != null, "Missing required option: '--out=DIR'");
    texts.requireOne(shared);
    PrintWriter err = rankOptions.leads() ? shared.err() : new PrintWriter(Writer.nullWriter());
    Topology topology = shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    Optional<TrainingResult> outcome = resume ? goOn(topology, err) : begin(topology, err);
    if (outcome.isEmpty()) {
      throw new InterruptedException();
    }
    if (rankOptions.leads()) {
      shared.out().println(shared.json() ? outcome.get().toJson() : outcome.get().toString());
      AdaptedParts adapted = AdaptedParts.of(RunDirectory.read(out));
      if (adapted != null && !shared.json()) {
        shared.out().println(adapted);
      }
    }
    return 0;
  }

  /**
   * The start of a new run; read before its folder is created.
   *
   * @throws ParameterException if options contradict each other
   */
  abstract Start start() throws IOException;

  /**
   * The text of a new run if no option names one.
   *
   * @param start of the run
   */
  abstract TrainingText ownText(Start start) throws IOException;

  /**
   * The tokenizer of a new run.
   *
   * @param read the run's text, to train a tokenizer on
   * @param err for messages
   */
  abstract RunTokenizer tokenizer(Start start, TrainingText read, PrintWriter err)
      throws IOException, InterruptedException;

  /** The command's own options whose values a resumed run has in its folder. */
  abstract List<String> settings();

  /** The teacher that the options name; null: none. */
  Path teacher() {
    return null;
  }

  /** The folder of the teacher's cache; null: none. */
  Path teacherCache() {
    return null;
  }

  /** The file of the text's routes to replay; null: none. */
  Path routes() {
    return null;
  }

  /** The released model whose weights a new run starts with; null: random weights. */
  ModelFolder origin() {
    return null;
  }

  /** The format of conversations with a new run's model, a released one. */
  private ChatFormat chatFormat(Start start) {
    shared.require(
        origin() != null,
        "--chat and --dpo train a released model further: name one by --from, or continue a run by --resume");
    return FolderChat.of(origin().tokenizerFiles(), start.config().model());
  }

  /** Starts a new run. All checks come before its folder is created. */
  private Optional<TrainingResult> begin(Topology topology, PrintWriter err) throws Exception {
    Start start = start();
    RunConfig config = start.config();
    requireFits(config, topology, start.teacher());
    if (rankOptions.leads()) {
      RunPath.requireNew(out);
    }
    TrainingText given = texts.named(shared, () -> chatFormat(start));
    shared.require(
        texts.ofPairs() == (config.preference() != null),
        "a run on pairs of answers has both --dpo and a \"preference\" in its config");
    TrainingText read = given == null ? ownText(start) : given;
    RunTokenizer tokenizer = tokenizer(start, read, err);
    TrainingInputs material =
        TrainingInputs.of(read, tokenizer.tokenizer(), config, start.teacher())
            .with(routes(), config, 0);
    RunFolder folder = rankOptions.leads() ? RunPath.create(out) : RunFolder.follow(out);
    return RunPath.inNew(
        folder, err, () -> onRanks(err).train(folder, config, material, tokenizer));
  }

  private Optional<TrainingResult> goOn(Topology topology, PrintWriter err) throws Exception {
    requireNoSettings();
    try (RunFolder folder = rankOptions.leads() ? RunPath.open(out) : RunFolder.follow(out)) {
      RunProgress progress = new RunProgress(folder);
      RunSources sources = new RunSources(folder);
      progress.requireCheckpoints(folder.config());
      RunConfig config = further(folder.config(), progress);
      if (teacher() != null) { // refuses another teacher, even if the remaining steps need none
        sources.teacher(teacher());
      }
      Optional<TrainingResult> complete = progress.outcome(config);
      if (complete.isPresent()) {
        return rankOptions.oneProcess() ? complete : onRanks(err).finished(config, complete.get());
      }
      ModelFolder teacher =
          needsTeacher(config, progress.stepsDone()) ? sources.teacher(teacher()) : null;
      requireFits(config, topology, teacher);
      TrainingInputs material =
          TrainingInputs.of(
                  sources.text(texts.named(shared, sources::chatFormat)),
                  folder.tokenizer(),
                  config,
                  teacher)
              .with(routes(), config, progress.stepsDone());
      return onRanks(err).train(folder, config, material, null);
    }
  }

  /** Whether a run needs a teacher from a step on, or starts from its layers. */
  private static boolean needsTeacher(RunConfig config, long done) {
    return config.asksTeacher(done)
        || done == 0 && config.distillation() != null && config.distillation().layers() != null;
  }

  /** The settings of a resumed run with the requested number of steps. */
  private RunConfig further(RunConfig config, RunProgress progress) {
    RunConfig further = steps == null ? config : shared.checked(() -> config.withSteps(steps));
    int wanted = further.training().schedule().steps();
    long done = progress.stepsDone();
    if (wanted < done) {
      String refused =
          " is " + wanted + ", but the run in " + out + " has done " + done + " already";
      shared.require(steps == null, "--steps%s", refused);
      throw Require.refusal(
          "training.steps in %s%s; set it to %s or more",
          out.resolve(RunFolder.CONFIG), refused, done);
    }
    return further;
  }

  private TrainingOnRanks onRanks(PrintWriter err) {
    return new TrainingOnRanks(
        new RankRun(rankOptions, shared), origin(), teacherCache(), Invocation.of(shared, err));
  }

  private void requireFits(RunConfig config, Topology topology, ModelFolder teacher) {
    shared.checked(() -> config.requireFits(topology));
    long available = rankOptions.memoryAvailable(shared);
    // Ranks of one process share its memory unless each has a GPU. How several processes share
    // memory is unknown here.
    if (rankOptions.oneProcess()) {
      MemoryForecast forecast = MemoryForecast.of(config, topology);
      (teacher == null ? forecast : forecast.with(teacher.config(), config.training(), topology))
          .requireFits(available, rankOptions.gpus() ? 1 : topology.ranks());
    }
  }

  /** Prints what each rank would hold; trains nothing. */
  private int explain() throws IOException {
    RunConfig config = resume && out != null ? RunFolder.config(out) : start().config();
    Topology topology = shared.checked(rankOptions::topology);
    List<Integer> experts = config.model().experts();
    shared.out().print(new TopologyText(topology, rankOptions.nodes(), experts));
    shared.out().flush();
    return 0;
  }

  private void requireNoSettings() {
    List<String> fixed = new ArrayList<>(SETTINGS);
    fixed.remove("--steps");
    fixed.addAll(settings());
    requireNone(
        fixed,
        Words.of(
            "--resume continues with the settings in %s, of which only --steps may change; leave"
                + " out ",
            out.resolve(RunFolder.CONFIG)));
  }

  /**
   * Refuses options.
   *
   * @param sentence begins the message, which the options' names complete
   */
  void requireNone(List<String> options, String sentence) {
    ParseResult words = shared.command().commandLine().getParseResult();
    List<String> given = options.stream().filter(words::hasMatchedOption).toList();
    if (!given.isEmpty()) {
      throw shared.usage(sentence + String.join(", ", given));
    }
  }

  /** The requested compute dtype; null for the default. */
  DType dtype() {
    return dtype == null ? null : dtype.dtype();
  }
}
