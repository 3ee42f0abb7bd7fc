package panamoe.harness.serve;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import panamoe.backend.Backend;
import panamoe.conversation.ChatFormat;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.ContextOption;
import panamoe.harness.SamplingDefaultsOption;
import panamoe.harness.SharedOptions;
import panamoe.harness.Subcommand;
import panamoe.harness.TemplateOption;
import panamoe.harness.ranks.EngineRun;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.open.ExpertHeat;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe serve}. */
@Command(
    name = "serve",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Serves a trained model over HTTP, by OpenAI's API.",
    footer = {
      "",
      "Examples:",
      "  panamoe serve novels",
      "  panamoe serve novels --port 9000 --sequences 32 --cache-mib 512",
      "  panamoe serve novels --ranks 4 --ep 2 --tp 2   four ranks as threads",
      "  mpirun -n 4 panamoe serve novels --comm mpi --ep 4   four processes; rank 0 listens",
      "  curl localhost:8080/v1/completions -d '{\"prompt\": \"It was a\", \"max_tokens\": 50}'",
      "",
      "MODEL is a run's folder (its latest checkpoint) or one checkpoint in it. SIGTERM and Ctrl-C",
      "let running requests end first; a second one ends them. See docs/serving.md."
    })
public final class ServeCommand implements Subcommand {
  /** Rank 0 signals the other ranks every two seconds. */
  private static final Duration LEAST_TIMEOUT = Duration.ofSeconds(5);

  @Mixin private SharedOptions shared;
  @Mixin private RankOptions rankOptions;
  @Mixin private ExpertReplicas replicas;
  @Mixin private ListenOptions listenOptions;
  @Mixin private EngineOptions engineOptions;
  @Mixin private LimitOptions limitOptions;
  @Mixin private SamplingDefaultsOption samplingDefaults;
  @Mixin private TemplateOption template;
  @Mixin private ContextOption context;

  @Parameters(
      paramLabel = "MODEL",
      description =
          "A run's folder, a checkpoint, or a released model: its folder, or a .gguf file.")
  private Path model;

  @Option(
      names = "--log-requests",
      paramLabel = "DIR",
      description =
          "Log each completion with its request to a file in DIR, which panamoe replay can repeat: prompts are then on the disk.")
  private Path logFolder;

  @Override
  public Integer call() throws Exception {
    Topology topology = shared.checked(rankOptions::topology);
    int texts = Math.multiplyExact(engineOptions.sequences, topology.dataDegree());
    Limits limits = shared.checked(() -> limitOptions.limits(texts));
    shared.checked(() -> engineOptions.config(1));
    ApiKeys keys = listenOptions.keys();
    ModelFolder opened = ModelFolder.open(model);
    ModelFolder folder = shared.checked(() -> context.of(opened));
    ChatFormat chat = template.format(folder);
    shared.checked(() -> engineOptions.experts.requireFit(folder));
    shared.checked(() -> replicas.read(folder.config().experts(), topology));
    rankOptions.requireAvailable();
    shared.require(
        rankOptions.timeout().compareTo(LEAST_TIMEOUT) >= 0,
        "--timeout is %s s, expected %s or more: ranks that serve wait for requests",
        rankOptions.timeout().toSeconds(),
        LEAST_TIMEOUT.toSeconds());
    return new RankRun(rankOptions, shared)
        .run(
            (ranks, backend, stop) -> {
              replicas.apply(ranks);
              if (ranks.first()) {
                serve(ranks, backend, folder, chat, limits, keys, stop);
              } else {
                follow(ranks, backend, folder);
              }
              return 0;
            });
  }

  /**
   * @param stop whether a signal came before the model was loaded
   */
  private void serve(
      Ranks ranks,
      Backend backend,
      ModelFolder folder,
      ChatFormat chat,
      Limits limits,
      ApiKeys keys,
      BooleanSupplier stop)
      throws Exception {
    PrintWriter err = shared.err();
    chat.toolWarning().ifPresent(warning -> err.println("warning: " + warning));
    ServedModel served = served(ranks, backend, folder, chat);
    Metrics metrics = new Metrics(shared.command().root().version()[0], served.name());
    try (RequestLog log = log(served, folder, backend, metrics);
        ApiServer server = listenOptions.listen(served, limits, keys, metrics, log, err::println)) {
      EngineRun run = new EngineRun(folder, engineOptions.held(folder), err, stop);
      try (LanguageModel loaded = run.load(ranks, backend, server::loaded)) {
        loaded.parameters().expertCache().ifPresent(metrics::reads);
        CacheSize cache = cache(ranks, backend, folder);
        Engine.onRanks(
            backend,
            loaded,
            folder.tokenizer(),
            engineOptions.config(cache.blocks()),
            engine -> {
              StopSignals.handle(server::stop);
              if (stop.getAsBoolean()) {
                throw new CancellationException();
              }
              server.loaded(1);
              say(served, server.port(), cache, limits.queue().sequences());
              answer(engine, server, metrics, engineOptions.experts.heat(folder));
            });
      }
    }
  }

  /**
   * Accepts requests until the server is asked to stop, or the engine fails.
   *
   * @param heat expert counts to save; null for none
   */
  private void answer(Engine engine, ApiServer server, Metrics metrics, ExpertHeat heat)
      throws InterruptedException {
    PrintWriter err = shared.err();
    try (EngineThread writer = new EngineThread(engine, metrics::stepped, server::stop);
        ExpertHeatWriter _ =
            heat == null ? null : new ExpertHeatWriter(heat, writer, err::println)) {
      if (heat != null) {
        server.keeps(heat.layers());
      }
      server.ready(writer);
      server.awaitStop();
      switch (writer.failure()) {
        case null -> {}
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case Throwable e -> throw new IllegalStateException(e);
      }
    }
  }

  /**
   * Computes rank 0's steps on the other ranks. A launcher signals all processes at once, but only
   * rank 0 drains; the others go on until rank 0 ends them or is lost.
   */
  private void follow(Ranks ranks, Backend backend, ModelFolder folder) throws Exception {
    EngineRun run = new EngineRun(folder, engineOptions.held(folder), shared.err(), () -> false);
    try (LanguageModel loaded = run.load(ranks, backend, _ -> {})) {
      EngineConfig config = engineOptions.config(cache(ranks, backend, folder).blocks());
      if (!rankOptions.leads()) {
        StopSignals.handle(() -> {});
      }
      Engine.onRanks(backend, loaded, folder.tokenizer(), config, _ -> {});
    }
  }

  private CacheSize cache(Ranks ranks, Backend backend, ModelFolder folder) {
    return engineOptions.cache(ranks, backend, folder.config(), rankOptions.here());
  }

  private ServedModel served(Ranks ranks, Backend backend, ModelFolder folder, ChatFormat chat) {
    Path name = folder.path().toAbsolutePath().normalize().getFileName();
    return new ServedModel(
        name == null ? "model" : name.toString(),
        folder.config().context(),
        SystemFingerprint.of(
            folder,
            engineOptions.numerics(folder),
            backend,
            ranks,
            shared.command().root().version()[0]),
        Instant.now().getEpochSecond(),
        new Constraints(folder.tokenizer()),
        new ServedModel.Defaults(new AtomicLong(shared.seed()), samplingDefaults.of(folder)),
        folder.config().encoder() == null,
        chat);
  }

  /** Null without a log. */
  private RequestLog log(ServedModel served, ModelFolder folder, Backend backend, Metrics metrics)
      throws IOException {
    if (logFolder == null) {
      return null;
    }
    LoggedCompletion.Origin origin =
        LoggedCompletion.Origin.of(served, folder, engineOptions.numerics(folder), backend.name());
    try {
      return new RequestLog(logFolder, origin, RequestLog.QUEUE, metrics, shared.err()::println);
    } catch (IOException e) {
      throw new IOException(
          Words.of(
              "--log-requests %s is no folder that can be written to, and none can be made there; name another",
              logFolder),
          e);
    }
  }

  private void say(ServedModel served, int bound, CacheSize cache, int texts) {
    String url = listenOptions.url(bound);
    int dataRanks = rankOptions.topology().dataDegree();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("url", url).put("model", served.name()).put("context", served.context());
    json.put("sequences", texts).put("data_ranks", dataRanks);
    json.put("cache_tokens", cache.tokens());
    String each = dataRanks > 1 ? " on each of " + dataRanks + " data ranks" : "";
    String words =
        Words.of(
            "serving %s at %s, %s sequences at a time of up to %s tokens; a cache of %s%s",
            served.name(), url, texts, served.context(), cache, each);
    shared.out().println(shared.json() ? json : words);
    shared.out().flush();
  }
}
