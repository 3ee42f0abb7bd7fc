package panamoe.harness.serve;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
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
import panamoe.engine.EngineThread;
import panamoe.engine.ExpertHeat;
import panamoe.io.Count;

/**
 * The HTTP server: paths, keys and errors, from the first connection to the last. It answers while
 * the model is being loaded, but writes texts only when it has an engine.
 */
final class ApiServer implements AutoCloseable {
  private static final int BACKLOG = 1024;
  private static final int CONNECTIONS = 2048;
  // A connection that is closed while a client sends its next request fails that request: the
  // client should close it first. Clients keep an unused one for up to 90 s.
  private static final int UNUSED_SECONDS = 120;
  static final Duration LAST_WORDS = Duration.ofSeconds(2);
  private static final Duration POLL = Duration.ofMillis(20);
  // How long a scrape waits for the step that is being computed.
  private static final Duration SCRAPE = Duration.ofSeconds(2);
  // Without keys, because orchestrators have none.
  static final String HEALTH = "/health";
  static final String LIVE = "/livez";

  static {
    // The JDK's server reads these once, when its first class is loaded.
    System.setProperty("sun.net.httpserver.nodelay", "true");
    System.setProperty("sun.net.httpserver.maxReqTime", "60"); // seconds to send a request
    System.setProperty("sun.net.httpserver.maxReqHeaders", "100");
    System.setProperty("sun.net.httpserver.maxReqHeaderSize", "65536"); // bytes
    System.setProperty("jdk.httpserver.maxConnections", Integer.toString(CONNECTIONS));
    System.setProperty("sun.net.httpserver.maxIdleConnections", Integer.toString(CONNECTIONS));
    System.setProperty("sun.net.httpserver.idleInterval", Integer.toString(UNUSED_SECONDS));
    // Of a body that nobody reads; a connection with more of it left is closed.
    System.setProperty("sun.net.httpserver.drainAmount", Integer.toString(Limits.BODY_BYTES));
  }

  /** What answers a method of a path. */
  @FunctionalInterface
  private interface Endpoint {
    void answer(Call call) throws IOException, InterruptedException;
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
  private final HttpServer http;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final AtomicInteger answering = new AtomicInteger();
  private final CountDownLatch stop = new CountDownLatch(1);
  private final CountDownLatch hurry = new CountDownLatch(1);
  private final Endpoint model;
  private volatile ServerState state = ServerState.LOADING;
  private volatile double progress;
  private volatile EngineThread engine;

  /**
   * Starts to listen.
   *
   * @param requests keeps the texts; null: nobody does
   * @param log receives what an operator should know, a line each, nothing of any request's text
   * @throws IOException if the address cannot be had
   */
  ApiServer(
      InetSocketAddress address,
      ServedModel served,
      Limits limits,
      ApiKeys keys,
      Metrics metrics,
      RequestLog requests,
      Consumer<String> log)
      throws IOException {
    this.limits = limits;
    this.keys = keys;
    this.metrics = metrics;
    this.log = log;
    this.http = HttpServer.create(address, BACKLOG);
    this.connections = new Connections(limits.slowReader());
    StateEndpoint told = new StateEndpoint(served);
    TextEndpoint texts =
        new TextEndpoint(served, limits, metrics, connections, this::requireEngine, requests);
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
    Page page = new Page();
    keyless.addAll(page.paths());
    page.paths().forEach(path -> route("GET", path, page::answer));
    http.createContext("/", this::handle);
    http.setExecutor(threads);
    http.start();
  }

  private void route(String method, String path, Endpoint endpoint) {
    routes.put(path, new Route(method, endpoint));
  }

  int port() {
    return http.getAddress().getPort();
  }

  /** Requests for texts that are not answered yet. */
  int waiting() {
    return connections.size();
  }

  /**
   * @param part of the model that is loaded, 0 to 1
   */
  void loaded(double part) {
    progress = part;
  }

  /** Takes requests from now on. The engine remains the caller's. */
  void ready(EngineThread writer) {
    engine = writer;
    state = ServerState.READY;
  }

  /** Tells from now on how often servers before this one sent rows to each expert. */
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

  private void scrape(Call call) throws IOException, InterruptedException {
    if (state() == ServerState.READY) {
      try {
        synchronized (metrics) { // in the order in which they were told
          metrics.routed(engine.routeStatistics().get(SCRAPE.toMillis(), TimeUnit.MILLISECONDS));
        }
      } catch (ExecutionException | TimeoutException | IllegalStateException _) {
        // The latest ones stay: a step takes long, or was the last one.
      }
    }
    String accepted = call.header("Accept");
    boolean open = accepted != null && accepted.contains("application/openmetrics-text");
    String type =
        open
            ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
            : "text/plain; version=0.0.4; charset=utf-8";
    call.answer(type, metrics.scrape(type));
  }

  private void handle(HttpExchange exchange) throws IOException {
    answering.incrementAndGet();
    try {
      answer(exchange);
    } finally {
      answering.decrementAndGet();
    }
  }

  /** An IOException closes the connection, so that a half answer does not look like a whole one. */
  private void answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    Call call = new Call(exchange, limits.bodyBytes(), "");
    try {
      if (keys == ApiKeys.NONE) {
        requireNoForeignPage(call);
      }
      if (!keyless.contains(path)) {
        call = new Call(exchange, limits.bodyBytes(), keys.user(call.header("Authorization")));
      }
      route(path, exchange.getRequestMethod()).answer(call);
    } catch (ApiError e) {
      call.answer(e);
    } catch (InterruptedException e) {
      throw new IOException("the connection was cut off", e);
    } catch (RuntimeException | StackOverflowError e) {
      log.accept("a request to " + routeOf(path) + " failed: " + place(e));
      call.answer(ApiError.internal("the server failed to answer this request"));
    }
    exchange.close();
  }

  /** Without keys, a page that a browser shows of another site could use the server. */
  private static void requireNoForeignPage(Call call) throws ApiError {
    String origin = call.header("Origin");
    String host = call.header("Host");
    if (origin != null && (host == null || !origin.endsWith("://" + host))) {
      throw ApiError.foreign(origin);
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

  /** Asks {@link #awaitStop} to return; a second call asks for haste. Any thread may call it. */
  void stop() {
    if (stop.getCount() > 0) {
      stop.countDown();
    } else {
      hurry.countDown();
    }
  }

  /**
   * Waits until the server is asked to stop, and drains it: new requests are refused, running ones
   * go on for a while, and what is left then ends with an error.
   */
  void awaitStop() throws InterruptedException {
    stop.await();
    state = ServerState.DRAINING;
    log.accept("stopping: " + Count.of(connections.size(), "request") + " left");
    awaitNone(connections::size, limits.shutdown(), hurry);
    connections.fail(TextAnswer.stopped(ServerState.DRAINING));
    awaitNone(answering::get, LAST_WORDS, new CountDownLatch(1)); // to their last bytes
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
    http.stop(0);
    threads.shutdownNow();
    connections.close();
  }
}
