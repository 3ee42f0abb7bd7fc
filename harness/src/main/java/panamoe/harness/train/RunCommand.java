package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import panamoe.backend.Backend;
import panamoe.comm.CommunicationException;
import panamoe.distill.Distillation;
import panamoe.engine.ModelFolder;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.harness.ranks.Alike;
import panamoe.harness.ranks.Build;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.parallel.Topology;
import panamoe.parallel.TopologyDrawing;
import panamoe.tensor.DType;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * A command that trains into a folder, begins or resumes, alone or on ranks. What it trains, its
 * subclass says.
 */
abstract class RunCommand implements Callable<Integer> {
  /**
   * What a new run starts from.
   *
   * @param teacher null without one
   */
  record Start(RunConfig config, ModelFolder teacher) {}

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;
  @Mixin private RankOptions rankOptions;

  @Option(names = "--out", paramLabel = "DIR", description = "Where the run goes. Required.")
  private Path out;

  @Option(
      names = "--resume",
      description = "Go on after the last checkpoint in DIR, on the same text.")
  private boolean resume;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description =
          "Optimizer steps in all. Default: the preset's or the teacher's; with --resume, as many as before.")
  private Integer steps;

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      description = "f32 (default) or bf16 with float32 masters.")
  private ComputeType dtype;

  @Option(
      names = "--recompute",
      description = "Keep less memory: compute each layer again in the backward.")
  private boolean recompute;

  @Option(names = "--text", paramLabel = "PATH", description = "A UTF-8 file, or a folder of them.")
  private Path text;

  @Option(
      names = "--languages",
      paramLabel = "CODE",
      split = ",",
      description = "Languages of the default corpus to keep, such as en,de,fr.")
  private Set<String> languages = Set.of();

  @Option(
      names = "--data",
      paramLabel = "DIR",
      description =
          "Tokens of panamoe data prepare, instead of --text, --languages, --tokenizer and --vocabulary.")
  private Path data;

  @Option(names = "--explain-topology", description = "Draw who holds what, and end.")
  private boolean explain;

  @Override
  public Integer call() throws Exception {
    if (explain) {
      return explain();
    }
    if (out == null) {
      throw usage("Missing required option: '--out=DIR'");
    }
    shared.checked(() -> Text.requireOneSource(text, languages));
    if (data != null && (text != null || !languages.isEmpty())) {
      throw usage("--data holds the tokens of a text and does not go with --text and --languages");
    }
    PrintWriter err =
        rankOptions.leads() ? spec.commandLine().getErr() : new PrintWriter(Writer.nullWriter());
    Topology topology = shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    Optional<TrainingRun.Outcome> outcome = resume ? goOn(topology, err) : begin(topology, err);
    if (outcome.isEmpty()) {
      throw new InterruptedException();
    }
    if (rankOptions.leads()) {
      spec.commandLine()
          .getOut()
          .println(shared.json() ? outcome.get().toJson() : outcome.get().toString());
    }
    return 0;
  }

  /**
   * What a new run starts from; read before its folder is created.
   *
   * @throws ParameterException if options contradict each other
   */
  abstract Start start() throws IOException;

  /**
   * The text of a new run where none is named.
   *
   * @param start of the run
   */
  abstract Text ownText(Start start) throws IOException;

  /**
   * The tokenizer of a new run.
   *
   * @param read the run's text, on which it may be trained
   * @param err for messages
   */
  abstract RunTokenizer tokenizer(Start start, Text read, PrintWriter err)
      throws IOException, InterruptedException;

  /** Whether an option is given that a resumed run has in its folder. */
  abstract boolean hasSettings();

  /** The teacher that the options name; null if they name none. */
  Path teacher() {
    return null;
  }

  /** The folder that keeps what the teacher says; null for none. */
  Path teacherCache() {
    return null;
  }

  /** Starts a new run. Everything that could refuse it is checked before its folder is created. */
  private Optional<TrainingRun.Outcome> begin(Topology topology, PrintWriter err) throws Exception {
    Start start = start();
    RunConfig config = start.config();
    requireFits(config, topology, start.teacher());
    if (rankOptions.leads()) {
      RunPlace.requireNew(out);
    }
    Text given = givenText();
    Text read = given == null ? ownText(start) : given;
    RunTokenizer tokenizer = tokenizer(start, read, err);
    Material material = Material.of(read, tokenizer.tokenizer(), config, start.teacher());
    try (RunFolder folder = rankOptions.leads() ? RunFolder.create(out) : RunFolder.follow(out)) {
      try {
        return train(folder, config, material, tokenizer, err);
      } catch (CommunicationException e) {
        throw e; // the run is sound, and may be resumed when the lost rank is back
      } catch (Exception e) {
        if (folder.discard(e)) {
          err.println("no checkpoint was saved: what the run wrote into " + out + " is removed");
        }
        throw e;
      }
    }
  }

  /** The text that the options name; null if they name none. */
  private Text givenText() {
    if (data != null) {
      return Text.prepared(data);
    }
    if (text != null) {
      return Text.read(text);
    }
    return languages.isEmpty() ? null : defaultCorpus(languages);
  }

  /** Resumes a run. */
  private Optional<TrainingRun.Outcome> goOn(Topology topology, PrintWriter err) throws Exception {
    requireNoSettings();
    try (RunFolder folder = rankOptions.leads() ? RunFolder.open(out) : RunFolder.follow(out)) {
      folder.progress().requireCheckpoints(folder.config());
      RunConfig config = further(folder);
      if (teacher() != null) { // another one is refused, also where none is asked any more
        folder.sources().teacher(teacher());
      }
      Optional<TrainingRun.Outcome> complete = folder.progress().outcome(config);
      if (complete.isPresent()) {
        return rankOptions.oneProcess() ? complete : onRanks(config, true, (_, _, _) -> complete);
      }
      ModelFolder teacher =
          needsTeacher(config, folder.progress().stepsDone())
              ? folder.sources().teacher(teacher())
              : null;
      requireFits(config, topology, teacher);
      Material material =
          Material.of(
              folder.sources().text(givenText()), folder.tokenizer(), config, teacher);
      return train(folder, config, material, null, err);
    }
  }

  /** Whether a run asks a teacher from a step on, or starts from its layers. */
  private static boolean needsTeacher(RunConfig config, long done) {
    return config.asksTeacher(done)
        || done == 0 && config.distillation() != null && config.distillation().layers() != null;
  }

  /** The settings of a resumed run, with the requested number of steps. */
  private RunConfig further(RunFolder folder) {
    RunConfig config = folder.config();
    RunConfig further = steps == null ? config : shared.checked(() -> config.withSteps(steps));
    int wanted = further.training().steps();
    long done = folder.progress().stepsDone();
    if (wanted < done) {
      String refused =
          " is " + wanted + ", but the run in " + out + " has done " + done + " already";
      if (steps != null) {
        throw usage("--steps" + refused);
      }
      throw new IllegalArgumentException(
          "training.steps in "
              + out.resolve("config.json")
              + refused
              + "; set it to "
              + done
              + " or more");
    }
    return further;
  }

  /**
   * @param begun the tokenizer of a new run; null for a resumed one
   */
  private Optional<TrainingRun.Outcome> train(
      RunFolder folder, RunConfig config, Material material, RunTokenizer begun, PrintWriter err)
      throws Exception {
    boolean fresh = begun != null;
    return onRanks(
        config,
        false,
        (ranks, backend, stop) -> {
          if (ranks.first() && material.teacher() != null && teacherCache() != null) {
            beginCache(
                config, material, backend, err); // before any other rank is past the next line
          }
          Alike.require(ranks, material.text().tokens()::sha256, "has another text than rank 0");
          Alike.require(ranks, material.tokenizer()::sha256, "has another tokenizer than rank 0");
          Alike.require(ranks, () -> teacherSha(material), "has another teacher than rank 0");
          if (fresh && ranks.first()) {
            folder.begin(config, begun.json(), material);
          }
          return new TrainingRun(
                  ranks, backend, folder, config, material, teacherCache(), fresh, err)
              .run(stop);
        });
  }

  private void beginCache(RunConfig config, Material material, Backend backend, PrintWriter err)
      throws IOException {
    long bytes =
        Distillation.beginCache(
            config,
            material.teacher(),
            backend,
            material.text().tokens().sha256(),
            material.data().trainingSequences(),
            teacherCache());
    err.printf(Locale.ROOT, "teacher's cache: up to %,d bytes in %s%n", bytes, teacherCache());
  }

  private static String teacherSha(Material material) {
    return material.teacher() == null ? "none" : material.teacher().checkpoint().sha256();
  }

  /**
   * Runs {@code body} on every rank of this process, after a check that all processes have the same
   * settings and build, and agree on whether anything is left to train.
   *
   * @param complete whether this process finds nothing left to train
   */
  private Optional<TrainingRun.Outcome> onRanks(
      RunConfig config, boolean complete, RankRun.Body<Optional<TrainingRun.Outcome>> body)
      throws Exception {
    return new RankRun(rankOptions, shared)
        .run(
            (ranks, backend, stop) -> {
              Alike.require(ranks, config::toJson, "was started with other settings than rank 0");
              Alike.require(ranks, Build::ofClasses, "is another build than rank 0");
              Alike.require(ranks, Build::ofLibrary, "has another native library than rank 0");
              // Completeness depends on file times, which a network file system may show
              // differently to each machine for a while.
              String differs =
                  "sees other files in "
                      + out
                      + " than rank 0; resume when all machines see the same";
              Alike.require(ranks, () -> complete, differs);
              return body.run(ranks, backend, stop);
            });
  }

  private void requireFits(RunConfig config, Topology topology, ModelFolder teacher) {
    shared.checked(() -> config.requireFits(topology));
    long available = rankOptions.memoryAvailable(shared);
    // Ranks of one process share its memory unless each has a card. How several processes share
    // memory is unknown here.
    if (rankOptions.oneProcess()) {
      MemoryForecast forecast = MemoryForecast.of(config.model(), config.training(), topology);
      (teacher == null ? forecast : forecast.with(teacher.config(), config.training(), topology))
          .requireFits(available, rankOptions.cards() ? 1 : topology.ranks());
    }
  }

  Text defaultCorpus(Set<String> kept) {
    return shared.checked(() -> Text.europarl(kept));
  }

  /** Prints what each rank would hold; trains nothing. */
  private int explain() throws IOException {
    RunConfig config = resume && out != null ? RunFolder.config(out) : start().config();
    Topology topology = shared.checked(rankOptions::topology);
    spec.commandLine()
        .getOut()
        .print(new TopologyDrawing(topology, rankOptions.nodes(), config.model().experts()));
    spec.commandLine().getOut().flush();
    return 0;
  }

  private void requireNoSettings() {
    if (dtype != null || recompute || seeded() || hasSettings()) {
      throw usage(
          "--resume goes on with the settings in "
              + out.resolve("config.json")
              + ", of which --steps alone may change; leave the others out");
    }
  }

  CommandSpec spec() {
    return spec;
  }

  SharedOptions shared() {
    return shared;
  }

  /** The folder of tokens to train on; null for a text. */
  Path data() {
    return data;
  }

  /** The requested number of steps; null for the default. */
  Integer steps() {
    return steps;
  }

  /** The requested dtype of computing; null for the default. */
  DType dtype() {
    return dtype == null ? null : dtype.dtype();
  }

  boolean recompute() {
    return recompute;
  }

  boolean seeded() {
    return spec.commandLine().getParseResult().hasMatchedOption("--seed");
  }

  ParameterException usage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
