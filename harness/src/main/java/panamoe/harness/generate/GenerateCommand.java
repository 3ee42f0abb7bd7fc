package panamoe.harness.generate;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.backend.abi.NativeBackend;
import panamoe.config.ModelConfig;
import panamoe.engine.Engine;
import panamoe.engine.EngineConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationRequest;
import panamoe.engine.ModelFolder;
import panamoe.engine.Routing;
import panamoe.engine.SamplingConfig;
import panamoe.engine.StopConfig;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.SharedOptions;
import panamoe.harness.ranks.Alike;
import panamoe.harness.ranks.Build;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.io.Count;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;
import panamoe.runtimekernel.RuntimeKernels;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code panamoe generate}. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Continues a text with a trained model, printing it as it comes.",
    footer = {
      "",
      "Examples:",
      "  panamoe generate --model novels --prompt \"It was a\"",
      "  panamoe generate --model novels --prompt \"It was a\" --temperature 0",
      "  panamoe generate --model novels --prompt \"Dear\" --max-tokens 500 --top-p 0.9 --stop \".\"",
      "  panamoe generate --model novels --ranks 4 --ep 2 --tp 2 --prompt \"Dear\"   four ranks as threads",
      "  mpirun -n 4 panamoe generate --model novels --comm mpi --prompt \"Dear\"   four processes",
      "",
      "--model takes a run's folder (its latest checkpoint) or one checkpoint in it.",
      "The same seed and settings give the same text, whatever the number of threads."
    })
public final class GenerateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;
  @Mixin private RankOptions rankOptions;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      required = true,
      description = "A run's folder, or a checkpoint.")
  private Path model;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      defaultValue = "",
      description = "Where to begin. Default: a new text.")
  private String prompt;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      defaultValue = "200",
      description =
          "Most tokens to write; a token is a byte unless the run has a tokenizer. Default: ${DEFAULT-VALUE}.")
  private int maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "0.8",
      description =
          "0 takes the most probable token, 1 samples the model's distribution. Default: ${DEFAULT-VALUE}.")
  private double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      defaultValue = "0",
      description = "Only the K most probable tokens; 0 for all.")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description = "Only the fewest tokens whose probabilities reach P.")
  private double topP;

  @Option(
      names = "--min-p",
      paramLabel = "P",
      defaultValue = "0",
      description = "Only tokens at least P times as probable as the best one; 0 for all.")
  private double minP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "R",
      defaultValue = "1",
      description = "More than 1 makes tokens rarer that came before.")
  private double repetitionPenalty;

  @Option(
      names = "--presence-penalty",
      paramLabel = "A",
      defaultValue = "0",
      description = "Taken off the logits of tokens that the text has already.")
  private double presencePenalty;

  @Option(
      names = "--frequency-penalty",
      paramLabel = "A",
      defaultValue = "0",
      description = "The same for each time that the text has them.")
  private double frequencyPenalty;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "Ends the text before TEXT; may be given several times.")
  private List<String> stop = List.of();

  @Option(
      names = "--dtype",
      paramLabel = "TYPE",
      defaultValue = "f32",
      description =
          "f32 or bf16 (half the memory to read for each token). Default: ${DEFAULT-VALUE}.")
  private ComputeType dtype;

  @Option(
      names = "--kv",
      paramLabel = "TYPE",
      defaultValue = "dtype",
      description =
          "Keys and values: dtype (as --dtype), or int8 (bytes with a scale for each token and head: less memory, and nearly the same probabilities). Default: ${DEFAULT-VALUE}.")
  private KeyValueType keyValues;

  @Option(
      names = "--guesses",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Tokens to guess and compute at once where the text repeats itself; changes no bit of it.")
  private int guesses;

  @Option(
      names = "--moe-stats",
      description =
          "Say after the text which experts its tokens chose, in each MoE layer (docs/serving.md, Routes).")
  private boolean moeStats;

  @Option(
      names = "--runtime-kernels",
      description =
          "Compile gate and experts for this model and card first (--device cuda; docs/runtime-kernels.md).")
  private boolean runtimeKernels;

  @Override
  public Integer call() throws Exception {
    SamplingConfig sampling = shared.checked(this::sampling);
    StopConfig end = shared.checked(() -> StopConfig.of(maxTokens, stop));
    shared.checked(() -> engineConfig(1));
    ModelFolder folder = ModelFolder.open(model);
    GenerationRequest request =
        shared.checked(
            () ->
                GenerationRequest.of(
                        GenerationRequest.tokensOf(
                            prompt, folder.tokenizer(), folder.config().context()),
                        sampling,
                        end)
                    .with(new Routing(moeStats, false, List.of())));
    if (moeStats && !folder.config().hasExperts()) {
      throw new ParameterException(
          spec.commandLine(), "--moe-stats is for models with MoE layers, this one has none");
    }
    shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    try {
      new RankRun(rankOptions, shared)
          .run((ranks, backend, stop) -> write(ranks, backend, folder, request, stop));
    } catch (CancellationException _) {
      throw new InterruptedException();
    }
    return 0;
  }

  private EngineConfig engineConfig(int context) {
    return EngineConfig.one(context)
        .withGuesses(guesses)
        .withInt8Cache(keyValues == KeyValueType.INT8);
  }

  private SamplingConfig sampling() {
    return new SamplingConfig(
        temperature,
        topK,
        topP,
        minP,
        new SamplingConfig.Penalties(repetitionPenalty, presencePenalty, frequencyPenalty),
        Map.of(),
        shared.seed());
  }

  private Void write(
      Ranks ranks,
      Backend backend,
      ModelFolder folder,
      GenerationRequest request,
      BooleanSupplier stop)
      throws Exception {
    Alike.require(ranks, Build::ofLibrary, "has another native library than rank 0");
    Alike.require(ranks, folder.checkpoint()::sha256, "has another model than rank 0");
    if (runtimeKernels) {
      install(backend, folder.config());
    }
    List<String> warnings = new ArrayList<>();
    try (LanguageModel loaded = folder.load(backend, dtype.dtype(), ranks, warnings, _ -> {})) {
      PrintWriter err = spec.commandLine().getErr();
      if (ranks.first()) {
        warnings.forEach(warning -> err.println("warning: " + warning));
      }
      Engine.onRanks(
          backend,
          loaded,
          folder.tokenizer(),
          engineConfig(folder.config().context()),
          engine -> print(engine, request, stop));
    }
    return null;
  }

  private void print(Engine engine, GenerationRequest request, BooleanSupplier stop) {
    PrintWriter out = spec.commandLine().getOut();
    Consumer<String> print =
        piece -> {
          out.print(piece);
          if (out.checkError()) {
            throw new UncheckedIOException(new IOException("nobody reads the text any more"));
          }
          if (stop.getAsBoolean()) {
            throw new CancellationException();
          }
        };
    if (!shared.json()) {
      print.accept(prompt);
    }
    Generation result;
    try {
      result = engine.run(request, shared.json() ? _ -> {} : print);
    } catch (IllegalArgumentException e) {
      if (!shared.json()) {
        out.println(); // the error begins a line
        out.flush();
      }
      throw e;
    }
    if (shared.json()) {
      out.println(json(result));
    } else {
      out.println();
      out.flush(); // the text is complete before messages follow
      spec.commandLine()
          .getErr()
          .printf(
              Locale.ROOT,
              "%s in %.2f s (%.0f tokens/s) after a prompt of %d in %.3f s%n",
              Count.of(result.tokens(), "token"),
              result.times().decodeSeconds(),
              result.tokens() / Math.max(1e-9, result.times().decodeSeconds()),
              result.promptTokens(),
              result.times().prefillSeconds());
      if (moeStats) {
        spec.commandLine().getErr().print(RouteTable.of(result.routes()));
        spec.commandLine().getErr().flush();
      }
    }
  }

  private void install(Backend backend, ModelConfig config) {
    if (!(backend instanceof NativeBackend card) || !card.name().equals("cuda")) {
      throw new ParameterException(
          spec.commandLine(),
          "--runtime-kernels is for --device cuda, this run computes on " + backend.name());
    }
    RuntimeKernels.open().install(card, RuntimeKernels.of(config, dtype.dtype(), null));
  }

  private ObjectNode json(Generation result) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("prompt", prompt);
    json.put("text", result.text());
    json.put("end", result.end().name().toLowerCase(Locale.ROOT));
    json.put("tokens", result.tokens());
    json.put("prompt_tokens", result.promptTokens());
    json.put("prefill_seconds", result.times().prefillSeconds());
    json.put("decode_seconds", result.times().decodeSeconds());
    if (moeStats) {
      RouteTable.write(result.routes(), json.putObject("moe").putArray("layers"));
    }
    return json;
  }
}
