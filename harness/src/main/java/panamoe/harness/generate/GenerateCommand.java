package panamoe.harness.generate;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import panamoe.backend.Backend;
import panamoe.config.ModelConfig;
import panamoe.engine.Generation;
import panamoe.engine.GenerationRequest;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.RouteFile;
import panamoe.engine.routes.Routing;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.harness.ContextOption;
import panamoe.harness.ModelArgument;
import panamoe.harness.RouteLogOption;
import panamoe.harness.RuntimeKernelsOption;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.ranks.EngineRun;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.io.Count;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe generate}. */
@Command(
    name = "generate",
    customSynopsis = "panamoe generate [OPTIONS] MODEL",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Completes a prompt with a trained model, and streams the completion.",
    footer = {
      "",
      "Examples:",
      "  panamoe generate novels -p \"It was a\"",
      "  panamoe generate novels -p \"It was a\" --temperature 0",
      "  panamoe generate novels -p \"Dear\" --max-tokens 500 --top-p 0.9 --stop \".\"",
      "  panamoe generate novels --ranks 4 --ep 2 --tp 2 -p \"Dear\"   four ranks as threads",
      "  mpirun -n 4 panamoe generate novels --comm mpi -p \"Dear\"   four processes",
      "  panamoe generate novels -n 500 -f beginning.txt   the prompt is in a file; - is the standard input",
      "",
      "MODEL is a run's folder (its latest checkpoint), one checkpoint in it, or a released"
          + " model (docs/released-models.md).",
      "The same seed and settings give the same completion, whatever the number of threads."
    })
public final class GenerateCommand implements Subcommand {
  @Mixin private SharedOptions shared;
  @Mixin private PromptOptions promptOptions;
  @Mixin private GenerationOptions text;
  @Mixin private RankOptions rankOptions;

  @Mixin private ContextOption context;
  @Mixin private ModelArgument model;

  @Option(
      names = "--moe-stats",
      description =
          "Print after the completion which experts its tokens chose, in each MoE layer (docs/serving-experts.md).")
  private boolean moeStats;

  @Option(
      names = "--switch-capacity",
      description =
          "Experts of a Switch model drop what its encoder sends beyond their capacity, as"
              + " transformers has it. Default: nothing is dropped.")
  private boolean switchCapacity;

  @Mixin private RuntimeKernelsOption runtimeKernels;
  @Mixin private RouteLogOption routeLog;

  private String prompt;

  @Override
  public Integer call() throws Exception {
    shared.checked(() -> text.sampling(shared.seed()));
    StopConfig end = shared.checked(() -> StopConfig.of(text.maxTokens(), text.stop()));
    shared.checked(() -> text.engine(1));
    prompt = promptOptions.text();
    ModelFolder opened = ModelFolder.open(model.path());
    opened.config().requireGeneration();
    ModelFolder asLong = shared.checked(() -> context.of(opened));
    ModelFolder folder = switchCapacity ? asLong.withDropping() : asLong;
    shared.require(
        !switchCapacity || text.guesses() == 0,
        "--switch-capacity counts rows, so that --guesses would change a completion");
    text.complete(folder);
    shared.checked(() -> text.requireExperts(folder));
    SamplingConfig sampling = text.sampling(shared.seed());
    GenerationRequest request =
        shared.checked(
            () ->
                GenerationRequest.of(
                        GenerationRequest.tokensOf(
                            prompt, folder.tokenizer(), folder.config().context()),
                        sampling,
                        end)
                    .with(new Routing(moeStats, false, List.of())));
    shared.require(
        !moeStats || folder.config().hasExperts(),
        "--moe-stats is for models with MoE layers, this one has none");
    routeLog.requireFit(shared, folder.config());
    shared.checked(rankOptions::topology);
    rankOptions.requireAvailable();
    new RankRun(rankOptions, shared)
        .run((ranks, backend, stop) -> write(ranks, backend, folder, request, stop));
    return 0;
  }

  private Void write(
      Ranks ranks,
      Backend backend,
      ModelFolder folder,
      GenerationRequest request,
      BooleanSupplier stop)
      throws Exception {
    runtimeKernels.install(shared, backend, folder.config(), text.dtype());
    InferenceSettings held = text.held(folder);
    try (RouteFile routes = ranks.first() ? routeLog.open(held.config(folder.config())) : null) {
      new EngineRun(folder, held, shared.err(), stop)
          .run(
              ranks,
              backend,
              text.engine(tokens(request, folder.config().context())),
              engine -> {
                RouteLogOption.record(engine, routes, shared.err()::println);
                print(engine, folder.config(), request, stop);
              });
    }
    return null;
  }

  /** Most tokens of prompt and completion in the cache. */
  private static int tokens(GenerationRequest request, int context) {
    return (int) Math.min((long) request.prompt().length + request.stop().maxTokens(), context);
  }

  private void print(
      Engine engine, ModelConfig config, GenerationRequest request, BooleanSupplier stop) {
    boolean goesOn = config.encoder() == null; // with an encoder it does not continue the prompt
    PrintWriter out = shared.out();
    Consumer<String> print =
        piece -> {
          out.print(piece);
          if (out.checkError()) {
            throw new UncheckedIOException(
                new IOException(
                    "cannot write the text: the output is closed, or its disk is full"));
          }
          if (stop.getAsBoolean()) {
            throw new CancellationException();
          }
        };
    if (!shared.json()) {
      print.accept(goesOn ? prompt : "");
    }
    Generation result;
    try {
      result = engine.run(request, shared.json() ? _ -> {} : print);
    } catch (IllegalArgumentException e) {
      if (!shared.json()) {
        out.println(); // the error begins a new line
        out.flush();
      }
      throw e;
    }
    if (shared.json()) {
      out.println(json(result));
    } else {
      out.println();
      out.flush(); // the completion comes before messages
      shared.note(
          "%s in %.2f s (%.0f tokens/s) after a prompt of %d in %.3f s",
          Count.of(result.tokens(), "token"),
          result.times().decodeSeconds(),
          result.tokens() / Math.max(1e-9, result.times().decodeSeconds()),
          result.promptTokens(),
          result.times().prefillSeconds());
      if (moeStats) {
        shared.err().print(RouteTable.of(result.routes()));
        shared.err().flush();
      }
    }
    if ((goesOn ? result.promptTokens() : 1) + result.tokens() - 1 > config.context()) {
      shared
          .err()
          .println("(the context was full: the completion went on from the later half of it)");
      shared.err().flush();
    }
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
      json.putObject("moe").putArray("layers").addAll(RouteTable.json(result.routes()));
    }
    return json;
  }
}
