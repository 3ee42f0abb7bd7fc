package panamoe.harness.serve;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.stream.LongStream;
import panamoe.backend.Backend;
import panamoe.engine.Engine;
import panamoe.engine.EngineConfig;
import panamoe.engine.EngineThread;
import panamoe.engine.ModelFolder;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.SharedOptions;
import panamoe.harness.ranks.Alike;
import panamoe.harness.ranks.RankOptions;
import panamoe.harness.ranks.RankRun;
import panamoe.model.LanguageModel;
import panamoe.parallel.Ranks;
import panamoe.parallel.Topology;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

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
public final class ServeCommand implements Callable<Integer> {
  /** Ranks hear from rank 0 every two seconds. */
  private static final Duration LEAST_TIMEOUT = Duration.ofSeconds(5);

  @Spec private CommandSpec spec;
  @Mixin private SharedOptions shared;
  @Mixin private RankOptions rankOptions;
  @Mixin private ExpertReplicas replicas;

  @Parameters(paramLabel = "MODEL", description = "A run's folder, or a checkpoint.")
  private Path model;

  @Option(
      names = "--host",
      paramLabel = "ADDRESS",
      defaultValue = "127.0.0.1",
      description =
          "The address to listen at; 0.0.0.0 for all of this machine's. Default: ${DEFAULT-VALUE}.")
  private String host;

  @Option(
      names = "--port",
      paramLabel = "N",
      defaultValue = "8080",
      description = "The port; 0 for any free one. Default: ${DEFAULT-VALUE}.")
  private int port;

  @Option(
      names = "--api-key-file",
      paramLabel = "FILE",
      description = "A file of keys, one a line: who has none of them is refused.")
  private Path keyFile;

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
      names = "--sequences",
      paramLabel = "N",
      defaultValue = "16",
      description = "Most texts that are written at a time. Default: ${DEFAULT-VALUE}.")
  private int sequences;

  @Option(
      names = "--cache-mib",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Memory for keys and values, at most room for --sequences texts of the whole context. Default, and 0: that room, but at most half of the free memory.")
  private long cacheMib;

  @Option(
      names = "--step-tokens",
      paramLabel = "N",
      defaultValue = "512",
      description =
          "Most tokens that are computed at a time: more make prompts faster, and the texts that are written meanwhile slower. Default: ${DEFAULT-VALUE}.")
  private int stepTokens;

  @Option(
      names = "--reserve",
      paramLabel = "PART",
      defaultValue = "0.25",
      description =
          "The part, 0 to 1, of what a text may become that must have room before it starts; with 1 nothing is computed twice. Default: ${DEFAULT-VALUE}.")
  private double reserve;

  @Option(
      names = "--guesses",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Tokens to guess and compute at once where a text repeats itself; changes no bit of it.")
  private int guesses;

  @Option(
      names = "--default-max-tokens",
      paramLabel = "N",
      description =
          "Most tokens of a text whose request does not say. Default: what the context has room for.")
  private int defaultMaxTokens = Integer.MAX_VALUE;

  @Option(
      names = "--max-queued-requests",
      paramLabel = "N",
      defaultValue = "256",
      description = "Most texts that wait; others are refused with 429. Default: ${DEFAULT-VALUE}.")
  private int queuedRequests;

  @Option(
      names = "--max-queued-tokens",
      paramLabel = "N",
      description = "Most tokens of prompts that wait. Default: any number.")
  private long queuedTokens = Long.MAX_VALUE;

  @Option(
      names = "--max-wait",
      paramLabel = "SECONDS",
      defaultValue = "0",
      description =
          "A text that would wait longer, by the rate at which texts end, is refused with 429; 0: it may wait. Default: ${DEFAULT-VALUE}.")
  private double maxWait;

  @Option(
      names = "--slow-reader-timeout",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description =
          "A client that takes nothing for so long is cut off. Default: ${DEFAULT-VALUE}.")
  private int slowReader;

  @Option(
      names = "--shutdown-timeout",
      paramLabel = "SECONDS",
      defaultValue = "30",
      description =
          "How long running requests may go on after SIGTERM or Ctrl-C. Default: ${DEFAULT-VALUE}.")
  private int shutdown;

  @Option(
      names = "--log-requests",
      paramLabel = "DIR",
      description =
          "Write each text with its request to a file in DIR, which panamoe replay can repeat: prompts are on the disk then.")
  private Path logFolder;

  @Override
  public Integer call() throws Exception {
    Topology topology = shared.checked(rankOptions::topology);
    int texts = Math.multiplyExact(sequences, topology.dataDegree());
    Limits limits =
        shared.checked(
            () ->
                new Limits(
                    texts,
                    queuedRequests,
                    queuedTokens,
                    maxWait == 0 ? Limits.ANY_WAIT : Duration.ofMillis((long) (1000 * maxWait)),
                    defaultMaxTokens,
                    Limits.BODY_BYTES,
                    Duration.ofSeconds(slowReader),
                    Limits.PING,
                    Duration.ofSeconds(shutdown)));
    shared.checked(() -> engineConfig(1));
    ApiKeys keys = keyFile == null ? ApiKeys.NONE : ApiKeys.read(keyFile);
    ModelFolder folder = ModelFolder.open(model);
    readReplicas(folder, topology);
    rankOptions.requireAvailable();
    if (rankOptions.timeout().compareTo(LEAST_TIMEOUT) < 0) {
      throw new ParameterException(
          spec.commandLine(),
          "--timeout is "
              + rankOptions.timeout().toSeconds()
              + " s, expected "
              + LEAST_TIMEOUT.toSeconds()
              + " or more: ranks that serve wait for texts");
    }
    try {
      new RankRun(rankOptions, shared)
          .run(
              (ranks, backend, stop) -> {
                Alike.requireModel(ranks, folder);
                replicas.apply(ranks);
                if (ranks.first()) {
                  serve(ranks, backend, folder, limits, keys, stop);
                } else {
                  follow(ranks, backend, folder);
                }
                return null;
              });
    } catch (CancellationException _) {
      throw new InterruptedException();
    }
    return 0;
  }

  private void readReplicas(ModelFolder folder, Topology topology) throws IOException {
    try {
      replicas.read(folder.config().experts(), topology);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
  }

  /**
   * @param stop whether a signal came before the model was loaded
   */
  private void serve(
      Ranks ranks,
      Backend backend,
      ModelFolder folder,
      Limits limits,
      ApiKeys keys,
      BooleanSupplier stop)
      throws IOException, InterruptedException {
    PrintWriter err = spec.commandLine().getErr();
    ServedModel served = served(ranks, backend, folder);
    Metrics metrics = new Metrics(spec.root().version()[0], served.name());
    try (RequestLog log = log(served, folder, backend, metrics);
        ApiServer server = listen(served, limits, keys, metrics, log)) {
      List<String> warnings = new ArrayList<>();
      try (LanguageModel loaded =
          folder.load(
              backend, dtype.dtype(), ranks, warnings, part -> loaded(server, part, stop))) {
        warnings.forEach(warning -> err.println("warning: " + warning));
        CacheSize cache = cache(ranks, backend, folder);
        Engine.onRanks(
            backend,
            loaded,
            folder.tokenizer(),
            engineConfig(cache.blocks()),
            engine -> {
              StopSignals.handle(server::stop);
              loaded(server, 1, stop);
              say(served, server.port(), cache, limits.sequences());
              answer(engine, server, metrics);
            });
      }
    }
  }

  private static void loaded(ApiServer server, double part, BooleanSupplier stop) {
    if (stop.getAsBoolean()) {
      throw new CancellationException();
    }
    server.loaded(part);
  }

  /** Answers requests until the server is asked to stop, or the engine fails. */
  private static void answer(Engine engine, ApiServer server, Metrics metrics)
      throws InterruptedException {
    try (EngineThread writer = new EngineThread(engine, metrics::stepped, server::stop)) {
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
   * What the other ranks do: they compute what rank 0 asks for. A launcher signals all processes at
   * once, but that of rank 0 alone drains: the others go on until it ends them, or is lost.
   */
  private void follow(Ranks ranks, Backend backend, ModelFolder folder)
      throws InterruptedException {
    try (LanguageModel loaded =
        folder.load(backend, dtype.dtype(), ranks, new ArrayList<>(), _ -> {})) {
      EngineConfig config = engineConfig(cache(ranks, backend, folder).blocks());
      if (!rankOptions.leads()) {
        StopSignals.handle(() -> {});
      }
      Engine.onRanks(backend, loaded, folder.tokenizer(), config, _ -> {});
    }
  }

  /** What every rank has room for. */
  private CacheSize cache(Ranks ranks, Backend backend, ModelFolder folder) {
    CacheSize mine =
        CacheSize.of(
            folder.config(),
            keyValues.of(dtype.dtype()),
            sequences,
            cacheMib,
            backend.memoryAvailable() / rankOptions.here());
    long[] all = ranks.world().allGather(mine.blocks());
    return new CacheSize((int) LongStream.of(all).min().orElseThrow(), mine.tokenBytes());
  }

  private EngineConfig engineConfig(int blocks) {
    return new EngineConfig(
        blocks,
        EngineConfig.BLOCK,
        sequences,
        stepTokens,
        reserve,
        true,
        guesses,
        keyValues == KeyValueType.INT8);
  }

  private ServedModel served(Ranks ranks, Backend backend, ModelFolder folder) {
    Path name = folder.path().toAbsolutePath().normalize().getFileName();
    return new ServedModel(
        name == null ? "model" : name.toString(),
        folder.tokenizer(),
        folder.config().context(),
        Fingerprint.of(folder, dtype, keyValues, backend, ranks, spec.root().version()[0]),
        Instant.now().getEpochSecond(),
        new AtomicLong(shared.seed()),
        new Constraints(folder.tokenizer()));
  }

  /** Null if nothing is to be logged. */
  private RequestLog log(ServedModel served, ModelFolder folder, Backend backend, Metrics metrics)
      throws IOException {
    if (logFolder == null) {
      return null;
    }
    LoggedText.Origin origin =
        new LoggedText.Origin(
            served.name(),
            folder.checkpoint().directory().toAbsolutePath().normalize().toString(),
            dtype,
            keyValues,
            backend.name(),
            served.fingerprint());
    try {
      return new RequestLog(
          logFolder, origin, RequestLog.QUEUE, metrics, spec.commandLine().getErr()::println);
    } catch (IOException e) {
      throw new IOException(
          "--log-requests "
              + logFolder
              + " is no folder that can be written to, and none can be made there; name another",
          e);
    }
  }

  private ApiServer listen(
      ServedModel served, Limits limits, ApiKeys keys, Metrics metrics, RequestLog log)
      throws IOException {
    try {
      InetSocketAddress address = new InetSocketAddress(InetAddress.getByName(host), port);
      return new ApiServer(
          address, served, limits, keys, metrics, log, spec.commandLine().getErr()::println);
    } catch (UnknownHostException e) {
      throw new ParameterException(
          spec.commandLine(), "--host " + host + " is no address of this machine", e);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(
          spec.commandLine(), "--port is " + port + ", expected 0 to 65535", e);
    } catch (BindException e) {
      throw new IOException(
          "cannot listen at "
              + host
              + ", port "
              + port
              + ": "
              + e.getMessage()
              + "; --port and --host name others",
          e);
    }
  }

  private void say(ServedModel served, int bound, CacheSize cache, int texts) {
    String url = "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + bound;
    PrintWriter out = spec.commandLine().getOut();
    if (shared.json()) {
      out.println(
          JsonNodeFactory.instance
              .objectNode()
              .put("url", url)
              .put("model", served.name())
              .put("context", served.context())
              .put("sequences", texts)
              .put("cache_tokens", cache.tokens()));
    } else {
      out.println(
          "serving "
              + served.name()
              + " at "
              + url
              + ", "
              + texts
              + " texts at a time of up to "
              + served.context()
              + " tokens; a cache of "
              + cache);
    }
    out.flush();
  }
}
