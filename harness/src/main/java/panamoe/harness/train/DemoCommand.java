package panamoe.harness.train;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import panamoe.backend.Backend;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.data.ByteTokenizer;
import panamoe.engine.ModelFolder;
import panamoe.engine.SamplingConfig;
import panamoe.engine.TextGenerator;
import panamoe.harness.SharedOptions;
import panamoe.harness.report.Report;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import panamoe.tensor.DType;
import panamoe.train.MemoryForecast;
import panamoe.train.RunConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code panamoe demo}. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains a small PR-MoE for a few minutes, lets it write, and shows what its experts learnt.",
      "",
      "The text is speeches of the European Parliament in five languages, the page at the end says which experts each",
      "language uses. All 21 languages: panamoe train."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe demo",
      "  panamoe demo --out short --steps 100     a shorter one"
    })
public final class DemoCommand implements Callable<Integer> {
  /** As many languages as a model learns to spell in a few minutes. */
  private static final Set<String> LANGUAGES = Set.of("en", "de", "fr", "es", "it");

  private static final List<String> PROMPTS =
      List.of(
          "Mr President, ",
          "Herr Präsident, ",
          "Monsieur le Président, ",
          "Señor Presidente, ",
          "Signor Presidente, ");
  private static final int SAMPLE_TOKENS = 160;
  private static final double SAMPLE_TEMPERATURE = 0.6;

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description =
          "Where the run goes. Default: panamoe-demo in this folder, with a number if that is taken.")
  private Path out;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Optimizer steps. Default: a few minutes' worth.")
  private Integer steps;

  @Override
  public Integer call() throws Exception {
    PrintWriter print = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    int vocabulary = new ByteTokenizer().vocabularySize();
    RunConfig config =
        shared.checked(
            () ->
                Presets.run(
                    Size.SMALL,
                    Architecture.PR_MOE,
                    steps,
                    DType.FLOAT32,
                    false,
                    vocabulary,
                    shared.seed()));
    MemoryForecast.of(config.model(), config.training(), Topology.ONE)
        .requireFits(shared.memoryAvailable(), 1);
    Path place = out == null ? freeFolder() : out;
    RunPlace.requireFree(place);
    Text text = Text.europarl(LANGUAGES);
    TrainingRun.Outcome outcome;
    try (RunFolder folder = RunFolder.create(place)) {
      Material material = Material.of(text, new ByteTokenizer(), config, null);
      folder.begin(config, null, material);
      outcome =
          Stoppable.run(
                  "demo",
                  stop -> {
                    try (Backend backend = shared.open()) {
                      return new TrainingRun(
                              Ranks.alone(), backend, folder, config, material, null, true, err)
                          .run(stop);
                    }
                  })
              .orElseThrow(InterruptedException::new);
      folder.replace(RunFolder.SAMPLES, samples(folder.path(), print));
      Report.write(folder.path());
    }
    if (shared.json()) {
      print.println(outcome.toJson());
    } else {
      print.printf(Locale.ROOT, "%n%s%n", outcome);
      print.printf(
          Locale.ROOT,
          "more text: panamoe generate --model %s --prompt \"Mr President, \"%n",
          outcome.folder());
    }
    return 0;
  }

  /** Generates and prints samples, and returns the content of {@code samples.json}. */
  private String samples(Path run, PrintWriter print) {
    ArrayNode samples = JsonNodeFactory.instance.arrayNode();
    ModelFolder folder = ModelFolder.open(run);
    try (Backend backend = shared.open();
        LanguageModel model = folder.load(backend, DType.FLOAT32, new ArrayList<>());
        TextGenerator generator = new TextGenerator(backend, model, folder.tokenizer())) {
      for (String prompt : PROMPTS) {
        SamplingConfig sampling =
            new SamplingConfig(
                SAMPLE_TEMPERATURE, 0, 0.95, 1, SAMPLE_TOKENS, List.of(), shared.seed());
        String text = generator.generate(prompt, sampling, _ -> {}).text();
        ObjectNode sample = samples.addObject();
        sample.put("prompt", prompt);
        sample.put("text", text);
        if (!shared.json()) {
          print.printf(Locale.ROOT, "%n%s%s%n", prompt, text);
          print.flush();
        }
      }
    }
    return samples.toString();
  }

  private static Path freeFolder() {
    Path folder = Path.of("panamoe-demo");
    for (int number = 2; Files.exists(folder); number++) {
      folder = Path.of("panamoe-demo-" + number);
    }
    return folder;
  }
}
