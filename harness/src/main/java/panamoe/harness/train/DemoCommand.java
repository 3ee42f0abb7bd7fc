package panamoe.harness.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import panamoe.backend.Backend;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.harness.OutputPlace;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.probe.Ceilings;
import panamoe.harness.probe.Roofline;
import panamoe.harness.ranks.Stoppable;
import panamoe.harness.report.Report;
import panamoe.harness.report.RoutedText;
import panamoe.harness.report.RunDirectory;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.model.KeptLayers;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.train.ConfigDifference;
import panamoe.train.DistillationConfig;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.TeacherRecord;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code panamoe demo}. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains a small PR-MoE for a few minutes, distils a student from it, generates text with both, and shows what their experts learnt.",
      "",
      "The text is speeches of the European Parliament in five languages; the reports at "
          + "the end show which experts each language uses. All 21 languages: panamoe train."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe demo                             a second time it goes on where it was stopped",
      "  panamoe demo --out short --steps 100     a shorter one",
      "",
      "DIR then holds the runs teacher and student, each with its report.html, as train and distill write them."
    })
public final class DemoCommand implements Subcommand {
  /** Few enough that a model learns to spell them in minutes. */
  private static final Set<String> LANGUAGES = Set.of("en", "de", "fr", "es", "it");

  /** The student's steps are a fourth of the teacher's: it starts from the teacher's layers. */
  private static final int FEWER_STEPS = 4;

  @Mixin private SharedOptions shared;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      defaultValue = "panamoe-demo",
      description = "Folder of both runs. Default: ${DEFAULT-VALUE}.")
  private Path out;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description =
          "Optimizer steps of the teacher; the student takes a fourth. Default: a minute or two's worth.")
  private Integer steps;

  private RunTokenizer tokenizer; // of a new teacher
  private TrainingInputs inputs; // of both models; null until one needs them
  private double textSeconds;

  @Override
  public Integer call() throws Exception {
    long start = System.nanoTime();
    RunConfig config = shared.checked(() -> preset(steps));
    MemoryForecast.of(config.model(), config.training(), Topology.ONE)
        .with(config.model(), config.training(), Topology.ONE) // the student's teacher
        .requireFits(shared.memoryAvailable(), 1);
    if (Files.notExists(out.resolve("teacher"))) {
      RunPath.requireFree(out);
    }
    OutputPlace.requireFolder(out, "--out");
    DemoModel teacher = model("teacher", config, null);
    DemoModel student = model("student", student(config), teacher.folder());
    if (shared.json()) {
      shared.out().println(teacher.outcome().toJson());
      shared.out().println(student.outcome().toJson());
      return 0;
    }
    Map<String, Double> seconds = new LinkedHashMap<>();
    Integer built = Integer.getInteger("panamoe.launcher.seconds");
    if (built != null) {
      seconds.put("build", (double) built);
    }
    seconds.put("text", textSeconds);
    seconds.put("teacher", teacher.outcome().seconds());
    seconds.put("student", student.outcome().seconds());
    double all = (System.nanoTime() - start) / 1e9;
    seconds.put(
        "report", all - textSeconds - teacher.outcome().seconds() - student.outcome().seconds());
    shared.out().println(new DemoSummary(List.of(teacher, student), seconds, ceilings()));
    return 0;
  }

  private RunConfig preset(Integer steps) {
    Presets.Chosen chosen = Presets.Chosen.steps(steps);
    return Presets.run(
        Size.DEMO,
        Architecture.PR_MOE,
        chosen,
        DType.BFLOAT16,
        false,
        Presets.VOCABULARY,
        shared.seed());
  }

  private RunConfig student(RunConfig teacher) {
    KeptLayers kept = KeptLayers.of(teacher.model().layers() - 1, teacher.model());
    int some = Math.max(1, teacher.training().schedule().steps() / FEWER_STEPS);
    return new RunConfig(
        kept.config(teacher.model()),
        preset(some).training(),
        teacher.seed(),
        DistillationConfig.staged(kept.layers()));
  }

  /** Trains a model in its own folder, from its first or its last saved step to its end. */
  private DemoModel model(String name, RunConfig config, ModelFolder teacher) throws Exception {
    Path path = out.resolve(name);
    shared.note("the %s%s", name, teacher == null ? "" : ", with one layer less");
    if (Files.exists(path.resolve(RunFolder.CONFIG))) {
      try (RunFolder folder = RunPath.open(path)) {
        return described(name, folder, goOn(folder, config, teacher));
      }
    }
    TrainingInputs material = inputs(teacher, () -> begun(config, teacher));
    RunFolder folder = RunPath.create(path);
    return RunPath.inNew(
        folder,
        shared.err(),
        () -> {
          RunTokenizer words = teacher == null ? tokenizer : RunTokenizer.of(teacher);
          folder.begin(config, words.files(), material.text().record(), TeacherRecord.of(teacher));
          return described(name, folder, train(folder, config, material, true));
        });
  }

  /** The text of a new run; the teacher's is new too, and gets a tokenizer. */
  private TrainingInputs begun(RunConfig config, ModelFolder teacher) throws InterruptedException {
    if (teacher != null) {
      TrainingText text = TrainingText.of(teacher, shared);
      return TrainingInputs.of(text, teacher.tokenizer(), config, teacher);
    }
    TrainingText text = TrainingText.europarl(LANGUAGES);
    tokenizer = RunTokenizer.of(text, Presets.VOCABULARY, shared.threadCount(), shared.err());
    return TrainingInputs.of(text, tokenizer.tokenizer(), config, null);
  }

  /** Continues a run of an earlier call; trains nothing if that finished it. */
  private TrainingResult goOn(RunFolder folder, RunConfig config, ModelFolder teacher)
      throws Exception {
    String differs =
        ConfigDifference.between(ConfigJson.tree(folder.config()), ConfigJson.tree(config));
    Require.that(
        differs.isEmpty(),
        "%s was begun by another version of the demo or with other options (%s): remove %s, or choose another --out",
        folder.path(),
        differs.split("; ")[0],
        out);
    RunProgress progress = new RunProgress(folder);
    progress.requireCheckpoints(config);
    RunSources sources = new RunSources(folder);
    if (teacher != null) {
      sources.teacher(teacher.path());
    }
    Optional<TrainingResult> complete = progress.outcome(config);
    if (complete.isPresent()) {
      return complete.get();
    }
    return train(
        folder,
        config,
        inputs(
            teacher,
            () -> TrainingInputs.of(sources.text(null), folder.tokenizer(), config, teacher)),
        false);
  }

  /** The text in tokens, which is read for the first model that needs it. */
  private TrainingInputs inputs(ModelFolder teacher, Callable<TrainingInputs> reading)
      throws Exception {
    if (inputs == null) {
      long start = System.nanoTime();
      shared.note("reading the text");
      inputs = reading.call();
      textSeconds = (System.nanoTime() - start) / 1e9;
    }
    return new TrainingInputs(inputs.text(), inputs.tokenizer(), inputs.data(), teacher, null);
  }

  private TrainingResult train(
      RunFolder folder, RunConfig config, TrainingInputs material, boolean fresh) throws Exception {
    Invocation caller = Invocation.of(shared, shared.err()).repeated();
    return Stoppable.run(
        "demo",
        stop -> {
          try (Backend backend = shared.open()) {
            Optional<TrainingResult> outcome =
                new TrainingRun(
                        Ranks.alone(), backend, folder, config, material, null, fresh, caller)
                    .run(stop);
            if (stop.getAsBoolean()) { // perhaps after the last step
              throw new InterruptedException();
            }
            return outcome.orElseThrow();
          }
        });
  }

  /** Writes completions of a trained model into its report. */
  private DemoModel described(String name, RunFolder folder, TrainingResult outcome)
      throws IOException {
    ModelFolder model = ModelFolder.open(folder.path());
    try (Backend backend = shared.open()) {
      DemoSamples samples = DemoSamples.write(model, backend, shared.seed());
      folder.replace(RunFolder.SAMPLES, RoutedText.toJson(samples.texts()));
      Report.write(folder.path());
      double trained =
          outcome.steps()
              * outcome.tokensPerStep()
              / RunDirectory.read(folder.path()).trainingSeconds();
      return new DemoModel(name, model, outcome, trained, samples.tokensPerSecond());
    }
  }

  /** This machine's peak rates; null if the program that measures them is missing or fails. */
  private Ceilings ceilings() {
    try (Backend backend = shared.open();
        Roofline roofline = new Roofline(backend.name(), shared.threadCount(), false)) {
      return roofline.highest();
    } catch (IOException e) {
      shared.note("the ceilings are not known: %s", e.getMessage());
      return null;
    }
  }
}
