package panamoe.harness.train;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.Callable;
import panamoe.data.ByteTokenizer;
import panamoe.data.JsonTokenizer;
import panamoe.data.Tokenizer;
import panamoe.harness.ComputeType;
import panamoe.harness.SharedOptions;
import panamoe.model.ModelPresets.Architecture;
import panamoe.model.ModelPresets.Size;
import panamoe.tensor.DType;
import panamoe.train.RunConfig;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code panamoe train}. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains a language model on text and writes checkpoints, metrics and a report into a folder.",
      "Without --text it trains on the default corpus, speeches of the European Parliament in 21 languages."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe train --preset tiny --out /tmp/first",
      "  panamoe train --preset small --arch moe --steps 500 --out moe",
      "  panamoe train --languages en,de,fr --out three",
      "  panamoe train --text ~/novels --steps 2000 --dtype bf16 --out novels",
      "  panamoe train --out novels --resume        goes on after the last checkpoint, bit for bit",
      "",
      "DIR then holds config.json, metrics.jsonl (one line a step), checkpoints/, report.html and plots/.",
      "What a run computes depends on config.json, the text and the tokenizer; never on the number of threads."
    })
public final class TrainCommand implements Callable<Integer> {
  /** A named size, or everything from a file. */
  static final class ModelChoice {
    @Option(
        names = "--preset",
        paramLabel = "SIZE",
        description = "tiny (seconds), small (minutes; the default) or base (the training benchmark).")
    private Size preset;

    @Option(
        names = "--config",
        paramLabel = "FILE",
        description = "A config.json, as a run writes it: model, training and seed. Takes no other setting.")
    private Path config;
  }

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;
  @ArgGroup private ModelChoice choice;

  @Option(
      names = "--arch",
      paramLabel = "ARCH",
      description = "dense, moe (experts in every 2nd layer) or pr-moe (pyramid-residual; the default).")
  private String architecture;

  @Option(names = "--steps", paramLabel = "N", description = "Optimizer steps. Default: the preset's.")
  private Integer steps;

  @Option(names = "--dtype", paramLabel = "TYPE", description = "f32 (default) or bf16 with float32 masters.")
  private ComputeType dtype;

  @Option(names = "--recompute", description = "Keep less memory: compute each layer again in the backward.")
  private boolean recompute;

  @Option(names = "--text", paramLabel = "PATH", description = "A UTF-8 file, or a folder of them.")
  private Path text;

  @Option(
      names = "--languages",
      paramLabel = "CODE",
      split = ",",
      description = "Languages of the default corpus to keep, such as en,de,fr. Default: all 21.")
  private Set<String> languages = Set.of();

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "A tokenizer.json in Hugging Face's format. Default: bytes.")
  private Path tokenizer;

  @Option(names = "--out", paramLabel = "DIR", required = true, description = "Where the run goes.")
  private Path out;

  @Option(names = "--resume", description = "Go on after the last checkpoint in DIR.")
  private boolean resume;

  @Override
  public Integer call() throws Exception {
    PrintWriter err = spec.commandLine().getErr();
    Text corpus = text();
    RunFolder folder = resume ? RunFolder.open(out) : RunFolder.create(out);
    try (folder) {
      RunConfig config;
      if (resume) {
        requireNoSettings();
        config = folder.config();
        folder.requireText(corpus.corpus());
      } else {
        Tokenizer given = tokenizer == null ? new ByteTokenizer() : JsonTokenizer.load(tokenizer);
        config = config(given);
        folder.begin(config, tokenizer, corpus.corpus());
      }
      TrainingRun.Outcome outcome = new TrainingRun(shared, folder, config, corpus, err).run();
      if (shared.json()) {
        spec.commandLine().getOut().println(outcome.toJson());
      } else {
        spec.commandLine().getOut().println(outcome);
      }
    }
    return 0;
  }

  private Text text() {
    if (text == null) {
      return Text.europarl(languages);
    }
    if (!languages.isEmpty()) {
      throw usage("--languages chooses from the default corpus and does not go with --text");
    }
    return Text.read(text);
  }

  private RunConfig config(Tokenizer given) {
    if (choice != null && choice.config != null) {
      if (architecture != null || steps != null || dtype != null || recompute) {
        throw usage("--config holds every setting; --arch, --steps, --dtype and --recompute do not go with it");
      }
      return RunConfig.read(choice.config);
    }
    Size size = choice == null || choice.preset == null ? Size.SMALL : choice.preset;
    DType compute = dtype == null ? DType.FLOAT32 : dtype.dtype();
    return Presets.run(size, architecture(), steps, compute, recompute, given.vocabularySize(), shared.seed());
  }

  private Architecture architecture() {
    return switch (architecture == null ? "pr-moe" : architecture) {
      case "dense" -> Architecture.DENSE;
      case "moe" -> Architecture.MOE;
      case "pr-moe" -> Architecture.PR_MOE;
      default ->
          throw usage("Invalid value for option '--arch': '" + architecture + "' is not dense, moe or pr-moe");
    };
  }

  private void requireNoSettings() {
    if (choice != null || architecture != null || steps != null || dtype != null || tokenizer != null || recompute) {
      throw usage("--resume goes on with the settings in " + out.resolve("config.json") + "; leave the others out");
    }
  }

  private ParameterException usage(String message) {
    return new ParameterException(spec.commandLine(), message);
  }
}
