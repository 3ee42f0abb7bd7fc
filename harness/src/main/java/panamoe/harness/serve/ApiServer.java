package panamoe.harness.serve;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.IntSupplier;
import panamoe.engine.schedule.EngineThread;
import panamoe.harness.serve.completion.Admission;
import panamoe.harness.serve.completion.CompletionResponse;
import panamoe.harness.serve.completion.Completions;
import panamoe.harness.serve.completion.Connections;
import panamoe.harness.serve.completion.ServerState;
import panamoe.harness.serve.http.Access;
import panamoe.harness.serve.http.ApiError;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.harness.serve.http.HttpListener;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.http.TlsCertificate;
import panamoe.harness.serve.log.AccessLog;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.log.RequestLog;
import panamoe.harness.serve.messages.MessagesEndpoint;
import panamoe.harness.serve.messages.MessagesForm;
import panamoe.harness.serve.model.ServedModel;
import panamoe.harness.serve.ollama.OllamaEndpoint;
import panamoe.harness.serve.ollama.OllamaForm;
import panamoe.harness.serve.openai.OpenAiEndpoint;
import panamoe.harness.serve.reading.ReadingEndpoint;
import panamoe.harness.serve.responses.ResponseStore;
import panamoe.harness.serve.responses.ResponsesEndpoint;
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
  // For orchestrators.
  static final String HEALTH = "/health";
  static final String LIVE = "/livez";

  private final Limits limits;
  private final Metrics metrics;
  private final Consumer<String> log;
  private final Connections connections;
  private final MoeEndpoint moe;
  private final LivePage page;
  private final Routes routes = new Routes();
  private final Dispatcher dispatcher;
  private final HttpListener http;
  private final CountDownLatch stop = new CountDownLatch(1);
  private final CountDownLatch hurry = new CountDownLatch(1);
  private volatile ServerState state = ServerState.LOADING;
  private volatile double progress;
  private volatile EngineThread engine;

  /**
   * Starts to listen.
   *
   * @param tls the certificate; null for HTTP without TLS
   * @param requests logs completions; null for no log
   * @param accesses logs requests; null for no log
   * @param log receives messages for the operator, one line each, without content of requests
   * @throws IOException if the address cannot be bound
   */
  ApiServer(
      InetSocketAddress address,
      TlsCertificate tls,
      ServedModel served,
      Limits limits,
      Access access,
      Metrics metrics,
      RequestLog requests,
      AccessLog accesses,
      Consumer<String> log)
      throws IOException {
    this.limits = limits;
    this.metrics = metrics;
    this.log = log;
    this.connections = new Connections(limits.http().slowReader());
    StateEndpoint told = new StateEndpoint(served);
    Admission admission = new Admission(limits.queue());
    Completions completions =
        new Completions(
            served, limits, admission, metrics, connections, this::requireEngine, requests);
    ReadingEndpoint reading =
        new ReadingEndpoint(served, limits, admission, metrics, connections, this::requireEngine);
    this.moe = new MoeEndpoint(served, this::requireEngine);
    TokenEndpoint tokens = new TokenEndpoint(served);
    OpenAiEndpoint openAi = new OpenAiEndpoint(served, completions);
    routes.add("POST", "/v1/chat/completions", openAi::chat);
    routes.add("POST", "/v1/completions", openAi::complete);
    MessagesEndpoint messages = new MessagesEndpoint(served, completions);
    routes.add("POST", "/v1/messages", messages::create, MessagesForm::failure);
    routes.add("POST", "/v1/messages/count_tokens", messages::countTokens, MessagesForm::failure);
    OllamaEndpoint ollama = new OllamaEndpoint(served, completions);
    routes.add("POST", "/api/chat", ollama::chat, (error, _) -> OllamaForm.failure(error));
    routes.add("GET", "/api/tags", ollama::tags, (error, _) -> OllamaForm.failure(error));
    routes.add("POST", "/api/embed", reading::embed, (error, _) -> OllamaForm.failure(error));
    routes.add("POST", "/v1/embeddings", reading::embeddings);
    routes.add("POST", "/v1/rerank", reading::rerank);
    routes.add("GET", StateEndpoint.MODELS, told::models);
    routes.add("GET", StateEndpoint.MODELS + "/", told::model);
    ResponsesEndpoint responses = new ResponsesEndpoint(completions, new ResponseStore());
    routes.add("POST", ResponsesEndpoint.PATH, responses::create);
    routes.add(null, ResponsesEndpoint.PATH + "/", responses::kept);
    routes.add("GET", "/v1/moe/stats", moe::statistics);
    routes.add("POST", "/tokenize", tokens::tokenize);
    routes.add("POST", "/detokenize", tokens::detokenize);
    routes.add("POST", "/apply-template", tokens::applyTemplate);
    routes.add("GET", "/metrics", this::scrape);
    AboutEndpoint about = new AboutEndpoint();
    routes.add("GET", "/version", about::version);
    routes.add("GET", "/openapi.json", about::openApi);
    routes.add("GET", HEALTH, call -> told.health(call, state(), progress));
    routes.add("GET", LIVE, call -> told.live(call, state()));
    page = new LivePage();
    page.paths().forEach(path -> routes.add("GET", path, page::respond));
    dispatcher = new Dispatcher(routes, access, page.paths(), metrics, accesses, log);
    http =
        new HttpListener(
            address, tls, limits.http(), access.origins(), dispatcher::handle, dispatcher::ended);
  }

  /** The method of each path but the page's; null for several. A path may end like /v1/models/. */
  Map<String, String> methods() {
    Map<String, String> methods = routes.methods();
    methods.keySet().removeAll(page.paths());
    return methods;
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
    awaitNone(dispatcher::responding, LAST_WORDS, new CountDownLatch(1)); // to their last bytes
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
    dispatcher.close();
    connections.close();
  }
}
