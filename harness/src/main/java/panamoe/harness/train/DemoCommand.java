package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import panamoe.backend.Backend;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.harness.SharedOptions;
import panamoe.harness.ShellWord;
import panamoe.harness.Subcommand;
import panamoe.harness.ranks.Stoppable;
import panamoe.harness.report.Report;
import panamoe.harness.report.RoutedText;
import panamoe.io.Words;
import panamoe.model.KeptLayers;
import panamoe.model.LanguageModel;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
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
      "  panamoe demo",
      "  panamoe demo --out short --steps 100     a shorter one",
      "",
      "DIR then holds the runs teacher and student, each with its report.html, as train and distill write them."
    })
public final class DemoCommand implements Subcommand {
  /** Few enough that a model learns to spell them in minutes. */
  private static final Set<String> LANGUAGES = Set.of("en", "de", "fr", "es", "it");

  /** The student's steps as a fraction of the teacher's: it starts from the teacher's layers. */
  private static final double STUDENT_STEPS = 0.3;

  /** A model of the demo, with its training result and sampled completions. */
  private record Trained(
      String name, ModelFolder model, TrainingResult outcome, double tokensPerSecond) {}

  @Mixin private SharedOptions shared;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      description =
          "Folder of both runs. Default: panamoe-demo in the working directory, with a number if that exists.")
  private Path out;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description =
          "Optimizer steps of the teacher; the student takes three tenths. Default: a few minutes' worth.")
  private Integer steps;

  @Override
  public Integer call() throws Exception {
    PrintWriter print = shared.out();
    RunConfig config =
        shared.checked(
            () ->
                Presets.run(
                    Size.SMALL,
                    Architecture.PR_MOE,
                    Presets.Chosen.steps(steps),
                    DType.BFLOAT16,
                    false,
                    Presets.VOCABULARY,
                    shared.seed()));
    MemoryForecast.of(config.model(), config.training(), Topology.ONE)
        .with(config.model(), config.training(), Topology.ONE) // the student's teacher
        .requireFits(shared.memoryAvailable(), 1);
    Path runs = out == null ? freeFolder() : out;
    RunPath.requireFree(runs);
    TrainingText text = TrainingText.europarl(LANGUAGES);
    PrintWriter err = shared.err();
    RunTokenizer tokenizer =
        RunTokenizer.of(text, Presets.VOCABULARY, shared.threadCount(), shared.err());
    err.println("the teacher");
    Trained teacher = train("teacher", runs, config, text, tokenizer, null);
    err.println("the student, with one layer less");
    Trained student = train("student", runs, student(config), text, tokenizer, teacher.model());
    if (shared.json()) {
      print.println(teacher.outcome().toJson());
      print.println(student.outcome().toJson());
    } else {
      print.println(Words.of("%n%s", table(List.of(teacher, student))));
      print.println(Words.of("report of the teacher: %s", teacher.outcome().report()));
      print.println(student.outcome());
      print.println(
          Words.of(
              "more text: %s generate %s -p \"Mr President,\"",
              ShellWord.launcher(), ShellWord.quoted(student.outcome().folder().toString())));
    }
    return 0;
  }

  private static RunConfig student(RunConfig teacher) {
    KeptLayers kept = KeptLayers.of(teacher.model().layers() - 1, teacher.model());
    int some = Math.max(1, (int) (STUDENT_STEPS * teacher.training().schedule().steps()));
    return new RunConfig(
        kept.config(teacher.model()),
        teacher.training().withSteps(some),
        teacher.seed(),
        DistillationConfig.staged(kept.layers()));
  }

  /** Trains a model in its own folder and samples completions. */
  private Trained train(
      String name,
      Path runs,
      RunConfig config,
      TrainingText text,
      RunTokenizer tokenizer,
      ModelFolder teacher)
      throws Exception {
    PrintWriter err = shared.err();
    TrainingInputs material = TrainingInputs.of(text, tokenizer.tokenizer(), config, teacher);
    RunFolder folder = RunPath.create(runs.resolve(name));
    return RunPath.inNew(
        folder,
        err,
        () -> {
          folder.begin(config, tokenizer.files(), text.record(), TeacherRecord.of(teacher));
          TrainingResult outcome =
              Stoppable.run("demo", stop -> trained(folder, config, material, stop))
                  .orElseThrow(InterruptedException::new);
          ModelFolder model = ModelFolder.open(folder.path());
          DemoSamples samples = write(name, model);
          folder.replace(RunFolder.SAMPLES, RoutedText.toJson(samples.texts()));
          Report.write(folder.path());
          return new Trained(name, model, outcome, samples.tokensPerSecond());
        });
  }

  private Optional<TrainingResult> trained(
      RunFolder folder, RunConfig config, TrainingInputs material, BooleanSupplier stop)
      throws IOException {
    Invocation caller = Invocation.of(shared, shared.err());
    try (Backend backend = shared.open()) {
      return new TrainingRun(Ranks.alone(), backend, folder, config, material, null, true, caller)
          .run(stop);
    }
  }

  private DemoSamples write(String name, ModelFolder model) {
    try (Backend backend = shared.open()) {
      DemoSamples samples = DemoSamples.write(model, backend, shared.seed());
      if (!shared.json()) {
        PrintWriter print = shared.out();
        print.println(Words.of("%nthe %s writes:", name));
        samples
            .texts()
            .forEach(text -> print.println(Words.of("%n%s%s", text.prompt(), text.text())));
        print.flush();
      }
      return samples;
    }
  }

  private static String table(List<Trained> models) {
    StringBuilder table = new StringBuilder();
    table.append(
        Words.of(
            "%-8s %7s %12s %14s %16s %16s%n",
            "", "layers", "parameters", "bits per byte", "trained tokens/s", "written tokens/s"));
    for (Trained each : models) {
      TrainingResult outcome = each.outcome();
      try (LanguageModel model = new LanguageModel(each.model().config())) {
        table.append(
            Words.of(
                "%-8s %7d %,12d %14.4f %,16.0f %,16.0f%n",
                each.name(),
                each.model().config().layers(),
                model.parameters().count(),
                outcome.bitsPerByte(),
                outcome.steps() * outcome.tokensPerStep() / outcome.seconds(),
                each.tokensPerSecond()));
      }
    }
    return table.toString();
  }

  private static Path freeFolder() {
    Path folder = Path.of("panamoe-demo");
    for (int number = 2; Files.exists(folder); number++) {
      folder = Path.of("panamoe-demo-" + number);
    }
    return folder;
  }
}
