package panamoe.harness.serve;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.IntSupplier;
import panamoe.engine.schedule.EngineThread;
import panamoe.io.Count;
import panamoe.open.ExpertHeat;

/**
 * The HTTP server: routes, keys and errors. It accepts requests while the model is being loaded,
 * but completes prompts only when it has an engine.
 */
final class ApiServer implements AutoCloseable {
  static final Duration LAST_WORDS = Duration.ofSeconds(2);
  private static final Duration POLL = Duration.ofMillis(20);
  // How long a scrape waits for the current step.
  private static final Duration SCRAPE = Duration.ofSeconds(2);
  // Without keys, because orchestrators have none.
  static final String HEALTH = "/health";
  static final String LIVE = "/livez";

  /** Handles requests of one path. */
  @FunctionalInterface
  private interface Endpoint {
    void handle(HttpExchange call) throws IOException, InterruptedException;
  }

  private record Route(String method, Endpoint endpoint) {}

  private final Limits limits;
  private final ApiKeys keys;
  private final Metrics metrics;
  private final Consumer<String> log;
  private final Connections connections;
  private final MoeEndpoint moe;
  private final Map<String, Route> routes = new LinkedHashMap<>();
  // Orchestrators have no key, and browsers get one from the page.
  private final Set<String> keyless = new HashSet<>(Set.of(HEALTH, LIVE));
  private final AllowedHosts hosts;
  private final HttpListener http;
  // Probes do not wait for other requests.
  private final ExecutorService probes =
      Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("probes").factory());
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final AtomicInteger responding = new AtomicInteger();
  private final CountDownLatch stop = new CountDownLatch(1);
  private final CountDownLatch hurry = new CountDownLatch(1);
  private final Endpoint model;
  private volatile ServerState state = ServerState.LOADING;
  private volatile double progress;
  private volatile EngineThread engine;

  /**
   * Starts to listen.
   *
   * @param hosts accepted host names; with keys, any
   * @param requests logs completions; null for no log
   * @param log receives messages for the operator, one line each, without content of requests
   * @throws IOException if the address cannot be bound
   */
  ApiServer(
      InetSocketAddress address,
      ServedModel served,
      Limits limits,
      ApiKeys keys,
      AllowedHosts hosts,
      Metrics metrics,
      RequestLog requests,
      Consumer<String> log)
      throws IOException {
    this.limits = limits;
    this.keys = keys;
    this.hosts = hosts;
    this.metrics = metrics;
    this.log = log;
    this.connections = new Connections(limits.http().slowReader());
    StateEndpoint told = new StateEndpoint(served);
    CompletionEndpoint texts =
        new CompletionEndpoint(
            served,
            limits,
            new Admission(limits.queue()),
            metrics,
            connections,
            this::requireEngine,
            requests);
    this.moe = new MoeEndpoint(served, this::requireEngine);
    TokenEndpoint tokens = new TokenEndpoint(served);
    route("POST", "/v1/chat/completions", texts::chat);
    route("POST", "/v1/completions", texts::complete);
    route("GET", StateEndpoint.MODELS, told::models);
    this.model = told::model;
    route("GET", "/v1/moe/stats", moe::statistics);
    route("POST", "/tokenize", tokens::tokenize);
    route("POST", "/detokenize", tokens::detokenize);
    route("POST", "/apply-template", tokens::applyTemplate);
    route("GET", "/metrics", this::scrape);
    route("GET", HEALTH, call -> told.health(call, state(), progress));
    route("GET", LIVE, call -> told.live(call, state()));
    LivePage page = new LivePage();
    keyless.addAll(page.paths());
    page.paths().forEach(path -> route("GET", path, page::respond));
    this.http = new HttpListener(address, limits.http(), this::handle);
  }

  private void route(String method, String path, Endpoint endpoint) {
    routes.put(path, new Route(method, endpoint));
  }

  int port() {
    return http.port();
  }

  /** Unfinished completion requests. */
  int waiting() {
    return connections.size();
  }

  /**
   * @param part of the model that is loaded, 0 to 1
   */
  void loaded(double part) {
    progress = part;
  }

  /** Accepts requests from now on. The caller closes the engine. */
  void ready(EngineThread writer) {
    engine = writer;
    state = ServerState.READY;
  }

  /** Also reports the expert counts of earlier servers from now on. */
  void keeps(List<ExpertHeat.Layer> layers) {
    moe.keeps(layers);
  }

  private ServerState state() {
    if (state == ServerState.READY && !engine.alive()) {
      state = ServerState.FAILED;
      log.accept("the engine has failed: " + engine.failure());
    }
    return state;
  }

  private EngineThread requireEngine() {
    ServerState now = state();
    if (now != ServerState.READY) {
      metrics.refused(now.word());
      throw ApiError.unavailable("the server is not ready: it is " + now.word(), now.word());
    }
    return engine;
  }

  private void scrape(HttpExchange call) throws IOException, InterruptedException {
    if (state() == ServerState.READY) {
      try {
        synchronized (metrics) { // in the order of the statistics
          metrics.routed(engine.routeStatistics().get(SCRAPE.toMillis(), TimeUnit.MILLISECONDS));
        }
      } catch (ExecutionException | TimeoutException | IllegalStateException _) {
        // The latest statistics stay: the step takes long, or was the last one.
      }
    }
    String accepted = call.header("Accept");
    boolean open = accepted != null && accepted.contains("application/openmetrics-text");
    String type =
        open
            ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
            : "text/plain; version=0.0.4; charset=utf-8";
    call.respond(type, metrics.scrape(type));
  }

  private void handle(HttpExchange call) {
    if (isProbe(call.path()) && !call.hasBody()) {
      probes.execute(() -> respond(call.withoutWaiting()));
    } else {
      threads.execute(() -> respond(call));
    }
  }

  private static boolean isProbe(String path) {
    return path.equals(HEALTH) || path.equals(LIVE);
  }

  private void respond(HttpExchange call) {
    responding.incrementAndGet();
    try (call) {
      try {
        requireAllowed(call);
        route(call.path(), call.method()).handle(call);
      } catch (ApiError e) {
        if (e.status() == 429) {
          metrics.refused("queue_full");
        }
        call.respond(e);
      } catch (OutOfMemoryError _) {
        call.respond(ApiError.outOfMemory());
      } catch (RuntimeException | StackOverflowError e) {
        log.accept("a request to " + routeOf(call.path()) + " failed: " + place(e));
        call.respond(ApiError.internal("the server failed to serve this request"));
      }
      call.end();
    } catch (IOException | InterruptedException | OutOfMemoryError _) {
      // The connection is closed.
    } finally {
      responding.decrementAndGet();
    }
  }

  /** Checks a request before its body is read. */
  private void requireAllowed(HttpExchange call) {
    String path = call.path();
    if (keys == ApiKeys.NONE) {
      String host = call.header("Host");
      AllowedHosts.requireOwnPage(call.header("Origin"), host);
      if (!isProbe(path)) { // an orchestrator may use any name
        hosts.require(host, call.bound());
      }
    } else if (!keyless.contains(path)) {
      call.by(keys.user(call.header("Authorization")));
    }
  }

  private Endpoint route(String path, String method) {
    Route route = routes.get(path);
    if (route == null && path.startsWith(StateEndpoint.MODELS + "/")) {
      route = new Route("GET", model);
    }
    if (route == null) {
      throw ApiError.notFound("endpoint " + path);
    }
    boolean head = method.equals("HEAD") && route.method().equals("GET");
    if (!head && !route.method().equals(method)) {
      throw ApiError.wrongMethod(method, route.method());
    }
    return route.endpoint();
  }

  private String routeOf(String path) {
    return routes.containsKey(path) ? path : "another path";
  }

  /** Where it was thrown; its message may quote a request. */
  private static String place(Throwable failure) {
    StackTraceElement[] trace = failure.getStackTrace();
    return failure.getClass().getName() + (trace.length == 0 ? "" : " at " + trace[0]);
  }

  /** Makes {@link #awaitStop} return; a second call skips the grace period. Thread-safe. */
  void stop() {
    if (stop.getCount() > 0) {
      stop.countDown();
    } else {
      hurry.countDown();
    }
  }

  /**
   * Waits until the server is asked to stop, and drains it: new requests are refused, running ones
   * go on for a while, and the rest ends with an error.
   */
  void awaitStop() throws InterruptedException {
    stop.await();
    state = ServerState.DRAINING;
    log.accept("stopping: " + Count.of(connections.size(), "request") + " left");
    awaitNone(connections::size, limits.shutdown(), hurry);
    connections.fail(CompletionResponse.stopped(ServerState.DRAINING));
    awaitNone(responding::get, LAST_WORDS, new CountDownLatch(1)); // to their last bytes
  }

  private static void awaitNone(IntSupplier left, Duration most, CountDownLatch enough)
      throws InterruptedException {
    long end = System.nanoTime() + most.toNanos();
    while (left.getAsInt() > 0 && System.nanoTime() - end < 0) {
      if (enough.await(POLL.toMillis(), TimeUnit.MILLISECONDS)) {
        return;
      }
    }
  }

  /** Closes all connections. */
  @Override
  public void close() {
    http.close();
    probes.shutdownNow();
    threads.shutdownNow();
    connections.close();
  }
}
