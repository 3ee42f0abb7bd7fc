package panamoe.harness.serve;

import java.io.PrintWriter;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import panamoe.backend.Backend;
import panamoe.conversation.ChatFormat;
import panamoe.engine.EngineConfig;
import panamoe.engine.GenerationRequest;
import panamoe.engine.Readout;
import panamoe.engine.StopConfig;
import panamoe.engine.routes.RouteFile;
import panamoe.engine.sample.SamplingConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.ContextOption;
import panamoe.harness.ModelArgument;
import panamoe.harness.RouteLogOption;
import panamoe.harness.RuntimeKernelsOption;
import panamoe.harness.SamplingDefaultsOption;
import panamoe.harness.SharedOptions;
import panamoe.harness.Signals;
import panamoe.harness.Subcommand;
import panamoe.harness.TemplateOption;
import panamoe.harness.ranks.EngineRun;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.harness.serve.http.Access;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.http.TlsCertificate;
import panamoe.harness.serve.log.AccessLog;
import panamoe.harness.serve.log.LoggedCompletion;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.log.RequestLog;
import panamoe.harness.serve.model.Constraints;
import panamoe.harness.serve.model.Numerics;
import panamoe.harness.serve.model.ServedModel;
import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.open.CacheSize;
import panamoe.open.ExpertHeat;
import panamoe.open.InferenceSettings;
import panamoe.open.ModelFolder;
import panamoe.open.NamedAdapters;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe serve}. */
@Command(
    name = "serve",
    customSynopsis = "panamoe serve [OPTIONS] MODEL",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Serves a model over HTTP, by OpenAI's and Anthropic's APIs.",
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
  @Mixin private RuntimeKernelsOption runtimeKernels;
  @Mixin private RouteLogOption routeLog;

  @Mixin private ModelArgument model;
  @Mixin private LogOptions logs;

  @Override
  public Integer call() throws Exception {
    Topology topology = shared.checked(rankOptions::topology);
    int texts = Math.multiplyExact(engineOptions.sequences, topology.dataDegree());
    Limits limits = shared.checked(() -> limitOptions.limits(texts));
    shared.checked(() -> engineOptions.config(1));
    Access access = listenOptions.access();
    TlsCertificate tls = listenOptions.certificate(shared.err()::println);
    ModelFolder opened = ModelFolder.open(model.path());
    ModelFolder folder = shared.checked(() -> context.of(opened));
    NamedAdapters adapters = shared.checked(() -> engineOptions.adapters(folder, model.name()));
    shared.checked(() -> adapters.requireServed(folder.config(), topology));
    ServedModel.Uses uses = ServedModel.Uses.of(opened).with(adapters.names());
    ChatFormat chat = template.format(folder);
    shared.checked(() -> engineOptions.experts.requireFit(folder));
    routeLog.requireFit(shared, folder.config());
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
              runtimeKernels.install(
                  shared, backend, folder.config(), engineOptions.numerics(folder).dtype().dtype());
              if (ranks.first()) {
                serve(ranks, backend, folder, uses, chat, limits, access, tls, stop);
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
      ServedModel.Uses uses,
      ChatFormat chat,
      Limits limits,
      Access access,
      TlsCertificate tls,
      BooleanSupplier stop)
      throws Exception {
    PrintWriter err = shared.err();
    if (uses.talks()) {
      chat.toolWarning().ifPresent(warning -> err.println("warning: " + warning));
    }
    ServedModel served = served(ranks, backend, folder, uses, chat);
    Metrics metrics = new Metrics(build(served, folder, backend));
    if (tls != null) {
      metrics.ends(tls::end);
    }
    InferenceSettings held = engineOptions.held(folder, model.name());
    try (TlsCertificate _ = tls;
        RequestLog log =
            logs.requests(
                LoggedCompletion.Origin.of(
                    served, folder, engineOptions.numerics(folder), backend.name()),
                metrics,
                err::println);
        AccessLog accesses = logs.accesses(metrics, err::println);
        RouteFile routes = routeLog.open(held.config(folder.config()));
        ApiServer server =
            listenOptions.listen(
                tls, served, limits, access, metrics, log, accesses, err::println)) {
      EngineRun run = new EngineRun(folder, held, err, stop);
      long adapterBytes = held.adapters().bytes(folder.config(), held.types());
      try (LanguageModel loaded = run.load(ranks, backend, server::loaded)) {
        loaded.parameters().expertCache().ifPresent(metrics::reads);
        CacheSize cache = cache(ranks, backend, folder);
        Engine.onRanks(
            backend,
            loaded,
            folder.tokenizer(),
            engineOptions.config(cache.blocks()),
            engine -> {
              Signals.handle(server::stop, "TERM", "INT");
              if (stop.getAsBoolean()) {
                throw new CancellationException();
              }
              draw(engine, folder, uses);
              RouteLogOption.record(engine, routes, err::println);
              server.loaded(1);
              answer(
                  engine,
                  server,
                  metrics,
                  engineOptions.experts.heat(folder),
                  () ->
                      say(served, server.port(), cache, limits.queue().sequences(), adapterBytes));
            });
      }
    }
  }

  /**
   * Draws a token, or reads one if the model only reads, so that a server that says it is ready can
   * answer: what a first step needs is in memory, and the model's logits are finite.
   */
  private static void draw(Engine engine, ModelFolder folder, ServedModel.Uses uses) {
    int[] prompt = folder.tokenizer().encode("a");
    StopConfig one = StopConfig.of(1, List.of());
    engine.run(
        uses.writes()
            ? GenerationRequest.of(prompt, SamplingConfig.GREEDY, one)
            : GenerationRequest.reading(prompt, Readout.LAST, GenerationRequest.Terms.USUAL),
        _ -> {});
  }

  /**
   * Accepts requests until the server is asked to stop, or the engine fails.
   *
   * @param heat expert counts to save; null for none
   * @param onReady called when requests are accepted
   */
  private void answer(
      Engine engine, ApiServer server, Metrics metrics, ExpertHeat heat, Runnable onReady)
      throws InterruptedException {
    PrintWriter err = shared.err();
    try (EngineThread writer = new EngineThread(engine, metrics::stepped, server::stop);
        ExpertHeatWriter _ =
            heat == null ? null : new ExpertHeatWriter(heat, writer, err::println)) {
      if (heat != null) {
        server.keeps(heat.layers());
      }
      server.ready(writer);
      onReady.run();
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
    EngineRun run =
        new EngineRun(folder, engineOptions.held(folder, model.name()), shared.err(), () -> false);
    try (LanguageModel loaded = run.load(ranks, backend, _ -> {})) {
      EngineConfig config = engineOptions.config(cache(ranks, backend, folder).blocks());
      if (!rankOptions.leads()) {
        Signals.handle(() -> {}, "TERM", "INT");
      }
      Engine.onRanks(backend, loaded, folder.tokenizer(), config, _ -> {});
    }
  }

  private CacheSize cache(Ranks ranks, Backend backend, ModelFolder folder) {
    return engineOptions.cache(ranks, backend, folder.config(), rankOptions.here());
  }

  private ServedModel served(
      Ranks ranks, Backend backend, ModelFolder folder, ServedModel.Uses uses, ChatFormat chat) {
    return new ServedModel(
        model.name(),
        folder.config().context(),
        SystemFingerprint.of(
            folder,
            engineOptions.numerics(folder),
            backend,
            ranks,
            shared.command().root().version()[0]
                + (runtimeKernels.wanted() ? " with runtime kernels" : "")),
        Instant.now().getEpochSecond(),
        new Constraints(folder.tokenizer()),
        new ServedModel.Defaults(new AtomicLong(shared.seed()), samplingDefaults.of(folder)),
        uses,
        chat);
  }

  /** What runs, by labels. */
  private Map<String, String> build(ServedModel served, ModelFolder folder, Backend backend) {
    Numerics numerics = engineOptions.numerics(folder);
    return Map.of(
        "version", shared.command().root().version()[0],
        "model", served.name(),
        "fingerprint", served.fingerprint(),
        "device", backend.name(),
        "dtype", numerics.dtype().name().toLowerCase(Locale.ROOT),
        "java", Runtime.version().toString());
  }

  private void say(ServedModel served, int bound, CacheSize cache, int texts, long adapterBytes) {
    String url = listenOptions.url(bound);
    int dataRanks = rankOptions.topology().dataDegree();
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("url", url).put("model", served.name()).put("context", served.context());
    json.put("sequences", texts).put("data_ranks", dataRanks);
    json.put("cache_tokens", cache.tokens());
    served.uses().adapters().forEach(json.putArray("adapters")::add);
    json.put("adapter_bytes", adapterBytes);
    String each = dataRanks > 1 ? " on each of " + dataRanks + " data ranks" : "";
    List<String> adapters = served.uses().adapters();
    String adapted =
        adapters.isEmpty()
            ? ""
            : "; adapters " + String.join(", ", adapters) + ", " + Count.bytes(adapterBytes);
    String words =
        Words.of(
            "serving %s at %s, %s sequences at a time of up to %s tokens; a cache of %s%s%s",
            served.name(), url, texts, served.context(), cache, each, adapted);
    shared.out().println(shared.json() ? json : words);
    shared.out().flush();
  }
}
