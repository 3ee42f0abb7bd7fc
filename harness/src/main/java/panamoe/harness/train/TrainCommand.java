package panamoe.harness.train;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import panamoe.backend.Activation;
import panamoe.config.AdapterConfig;
import panamoe.config.ModelPresets.Architecture;
import panamoe.config.ModelPresets.Size;
import panamoe.data.ByteTokenizer;
import panamoe.data.PreparedText;
import panamoe.data.tokenizer.BpeTrainer;
import panamoe.harness.HubModels;
import panamoe.harness.Quantization;
import panamoe.io.DataException;
import panamoe.io.Require;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.open.AdaptedBase;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;
import panamoe.tensor.DType;
import panamoe.train.PreferenceConfig;
import panamoe.train.RunConfig;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code panamoe train}. */
@Command(
    name = "train",
    customSynopsis = "panamoe train [OPTIONS] --out=DIR",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Trains a language model on text and writes checkpoints, metrics and a report into a folder.",
      "Without --text it trains on the default corpus, speeches of the European Parliament in 21"
          + " languages."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe train --preset tiny --out first",
      "  panamoe train --preset small --arch moe --steps 500 --out moe",
      "  panamoe train --languages en,de,fr --out three",
      "  panamoe train --data tokens --out novels   on tokens of panamoe data prepare",
      "  panamoe train --text ~/novels --steps 2000 --dtype bf16 --out novels",
      "  panamoe train --text ~/novels --vocabulary 4096 --out words",
      "  panamoe train --text ~/novels --batch 16 --lr 1e-3 --experts 16 --out larger",
      "  panamoe train --out novels --resume   continues after the last checkpoint, bit for bit",
      "  panamoe train --out novels --resume --steps 4000   trains a finished run further, up to step 4000",
      "  panamoe train --from ~/Qwen3-30B-A3B --text ~/novels --steps 200 --out mine   trains a released model further",
      "  panamoe train --from ~/Qwen3-30B-A3B --chat support.jsonl --context 2048 --out mine   on conversations",
      "  panamoe train --from qwen3.gguf --lora 16 --targets experts,attention --chat support.jsonl --out mine   adapters",
      "  panamoe train --from qwen3.gguf --lora 16 --dpo answers.jsonl --context 4096 --out mine   on pairs of answers",
      "  panamoe train --ranks 4 --ep 2 --out moe   four ranks as threads; --explain-topology prints them",
      "  mpirun -n 8 panamoe train --comm mpi --ep 4 --tp 2 --out moe",
      "  PANAMOE_RANK=0 panamoe train --comm tcp --out moe   one of several processes without"
          + " mpirun",
      "  mpirun -n 4 panamoe train --comm nccl --device cuda --out moe   a GPU for each rank",
      "  panamoe train --ranks 2 --overlap 2 --trace moe.json --out moe   a timeline of the ranks",
      "",
      "DIR then holds config.json, metrics.jsonl (one line per step), checkpoints/, report.html and"
          + " plots/.",
      "A run's result depends on config.json, the text and the tokenizer, not on the number of"
          + " threads. The ranks and",
      "their topology change only rounding; --resume may change them."
    })
public final class TrainCommand extends RunCommand {
  /** Options that conflict with a released model or a config. */
  private static final List<String> OF_THE_MODEL =
      List.of("--preset", "--arch", "--experts", "--tokenizer", "--vocabulary");

  /** The beta of the paper's main experiments. */
  private static final double BETA = 0.1;

  private static final List<String> OF_ADAPTERS =
      Stream.concat(AdapterOptions.NAMES.stream(), Stream.of("--quantize")).toList();

  @Option(
      names = "--preset",
      paramLabel = "SIZE",
      description =
          "tiny (seconds), demo (a minute or two), small (minutes; the default) or base (the"
              + " training benchmark).")
  private Size preset;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "A config.json, as a run writes it: model, training and seed. Excludes --preset, --arch,"
              + " --lr, --batch, --context, --experts, --steps, --dtype, --recompute, --seed and"
              + " --resume.")
  private Path configFile;

  @Option(
      names = "--from",
      paramLabel = "MODEL",
      description = {
        "Train a released model further: a Hugging Face folder, a .gguf file or a name"
            + " (hf:OWNER/REPO); the run has its shape, weights and tokenizer. Default: 200 steps."
            + " Goes with --config if that describes the same model; excludes --preset, --arch,"
            + " --experts, --tokenizer and --vocabulary."
      })
  private Path from;

  @Mixin private HubModels named;

  @Option(
      names = "--arch",
      paramLabel = "ARCH",
      description =
          "dense, moe (experts in every 2nd layer), pyramid (twice as many in the last ones), residual (a fixed"
              + " MLP beside them), pr-moe (both; the default), deepseek"
              + " (moe with a shared expert and DeepSeek-V3's gate) or mixtral (two experts per token in every layer, SwiGLU, RMSNorm: export writes it for transformers and llama.cpp).")
  private Architecture architecture;

  @Mixin private ChosenSettings settings;
  @Mixin private AdapterOptions lora;

  @Option(
      names = "--quantize",
      paramLabel = "TYPE",
      description =
          "With --lora, the model's matrices: int8, int4, stored or none, as serve has them."
              + " Default: stored where there are blocks.")
  private Quantization quantize;

  @Option(
      names = "--dpo-beta",
      paramLabel = "B",
      description =
          "How strongly --dpo holds the model to its reference, itself before training: preference.beta. Default: 0.1.")
  private Double beta;

  @Option(
      names = "--tokenizer",
      paramLabel = "FILE",
      description = "A tokenizer.json in Hugging Face's format.")
  private Path tokenizer;

  @Option(
      names = "--vocabulary",
      paramLabel = "N",
      description = {
        "First train a tokenizer of N tokens on the run's training text; 257: work on bytes. Not"
            + " with --tokenizer. Default: 257 with --preset tiny or --config, otherwise 4096."
      })
  private Integer vocabulary;

  @Option(
      names = "--routes",
      paramLabel = "FILE",
      description =
          "Send the tokens of --chat to the experts that serve --log-routes recorded for them in FILE, instead of those that the gates choose now (docs/routes.md).")
  private Path routes;

  private BaseModel origin;

  @Override
  Start start() throws IOException {
    AdapterConfig adapters = shared.checked(lora::config);
    shared.require(
        adapters == null || from != null,
        "--lora trains adapters of a model that there is: name it by --from");
    if (adapters == null) {
      requireNone(OF_ADAPTERS, "without --lora there are no adapters; leave out ");
    }
    if (from != null) {
      requireNone(OF_THE_MODEL, "--from uses the model's own shape and tokenizer; leave out ");
      Path local = named.local(from, shared.command());
      origin = adapters == null ? BaseModel.open(local) : BaseModel.toAdapt(local);
      if (origin.folder().weights() instanceof StoredWeights.Saved saved
          && !origin.folder().quantized()) {
        shared
            .err()
            .println(
                Words.of(
                    "warning: the adapters are of %s, which its run deletes if it goes on; give a"
                        + " copy of it to --from to keep it",
                    saved.directory()));
      }
      return new Start(furtherConfig(), null);
    }
    if (vocabulary != null && tokenizer != null) {
      throw shared.usage("--vocabulary trains a tokenizer and does not go with --tokenizer");
    }
    shared.require(
        texts.data() == null || tokenizer == null && vocabulary == null,
        "--data has its own tokenizer and does not go with --tokenizer and --vocabulary");
    if (!trainsTokenizer()) {
      return new Start(config(givenTokenizer().tokenizer().vocabularySize()), null);
    }
    shared.checked(() -> BpeTrainer.requireVocabulary(vocabulary()));
    return new Start(config(vocabulary()), null);
  }

  @Override
  Path routes() {
    return routes;
  }

  @Override
  ModelFolder origin() {
    return origin == null ? null : origin.folder();
  }

  /** The settings of further training of a released model. */
  private RunConfig furtherConfig() throws IOException {
    if (texts.data() != null) {
      origin.requireTokensOf(texts.data());
    }
    AdapterConfig adapters = lora.config();
    if (configFile != null) {
      requireNone(List.of("--lora"), CONFIG_HOLDS);
      RunConfig read = config(origin.config().vocabulary());
      origin.requireShape(read.model(), configFile);
      return read;
    }
    Presets.Chosen chosen = shared.checked(() -> settings.with(steps));
    DType compute = dtype() == null ? DType.FLOAT32 : dtype();
    RunConfig further =
        shared.checked(
            () ->
                new RunConfig(
                        origin.config(),
                        Presets.further(chosen, origin.config().context(), adapters != null)
                            .withDType(compute)
                            .withRecompute(recompute),
                        shared.seed())
                    .preferring(preference()));
    return adapters == null ? further : adapting(further, adapters);
  }

  private RunConfig adapting(RunConfig config, AdapterConfig adapters) {
    return shared.checked(
        () -> {
          try (LanguageModel model = new LanguageModel(config.model())) {
            model.adapted(adapters); // refuses bad targets
            if (config.preference() != null) {
              model.head().requirePreferences();
            }
          }
          return config.adapting(
              adapters,
              AdaptedBase.of(
                  origin.folder(), Quantization.of(quantize, origin.folder()).matrices()));
        });
  }

  /** Null without pairs of answers. */
  private PreferenceConfig preference() {
    Require.that(beta == null || texts.ofPairs(), "--dpo-beta goes with --dpo");
    return texts.ofPairs() ? new PreferenceConfig(beta == null ? BETA : beta) : null;
  }

  private int vocabulary() {
    if (vocabulary != null) {
      return vocabulary;
    }
    return configFile != null || preset == Size.TINY ? ByteTokenizer.SIZE : Presets.VOCABULARY;
  }

  private boolean trainsTokenizer() {
    return texts.data() == null && tokenizer == null && vocabulary() != ByteTokenizer.SIZE;
  }

  @Override
  RunTokenizer tokenizer(Start start, TrainingText read, PrintWriter err)
      throws IOException, InterruptedException {
    if (origin != null) {
      return RunTokenizer.of(origin.folder());
    }
    if (!trainsTokenizer()) {
      return givenTokenizer();
    }
    try {
      return RunTokenizer.of(read, vocabulary(), shared.threadCount(), err);
    } catch (DataException e) {
      throw new DataException(
          e.getMessage() + " by --vocabulary (" + ByteTokenizer.SIZE + " works on bytes)", e);
    }
  }

  private RunTokenizer givenTokenizer() throws IOException {
    return RunTokenizer.read(
        texts.data() == null
            ? tokenizer
            : PreparedText.open(texts.data()).tokenizerFile().orElse(null));
  }

  @Override
  TrainingText ownText(Start start) {
    return shared.checked(() -> TrainingText.europarl(Set.of()));
  }

  @Override
  List<String> settings() {
    return Stream.of(
            OF_THE_MODEL,
            List.of("--from", "--config", "--lora", "--dpo-beta"),
            OF_ADAPTERS,
            ChosenSettings.NAMES)
        .flatMap(List::stream)
        .distinct()
        .toList();
  }

  /**
   * @param tokens of the tokenizer
   */
  private RunConfig config(int tokens) {
    if (configFile != null) {
      requireNone(
          Stream.of(List.of("--preset", "--arch", "--dpo-beta"), ChosenSettings.NAMES, SETTINGS)
              .flatMap(List::stream)
              .toList(),
          CONFIG_HOLDS);
      RunConfig read = RunConfig.read(configFile);
      int custom = read.model().activations().indexOf(Activation.CUSTOM);
      Require.that(
          custom < 0,
          "%s: at $.model.blocks[%s].feedForward.activation: only a program that brings a CUSTOM"
              + " activation can train with it, see docs/runtime-kernels.md",
          configFile,
          custom);
      Require.that(
          read.adapters() == null,
          "%s has adapters, which are of a model: panamoe train --from MODEL --lora R",
          configFile);
      Require.that(
          read.distillation() == null,
          "%s has a distillation, which needs a teacher: panamoe distill --teacher MODEL",
          configFile);
      if (read.model().vocabulary() != tokens && vocabulary != null) {
        throw shared.usage(
            "--vocabulary is %s, but model.vocabulary in %s is %s",
            tokens, configFile, read.model().vocabulary());
      }
      return read;
    }
    Size size = preset == null ? Size.SMALL : preset;
    Architecture wanted = architecture == null ? Architecture.PR_MOE : architecture;
    DType compute = dtype() == null ? DType.FLOAT32 : dtype();
    return shared.checked(
        () -> {
          settings.requireExperts(wanted);
          return Presets.run(
              size, wanted, settings.with(steps), compute, recompute, tokens, shared.seed());
        });
  }
}
