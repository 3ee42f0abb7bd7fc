package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.Readout;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.EngineThread;
import panamoe.engine.schedule.HashEngine;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.harness.serve.http.Access;
import panamoe.harness.serve.http.AllowedHosts;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.harness.serve.http.Limits;
import panamoe.harness.serve.http.TlsCertificate;
import panamoe.harness.serve.log.AccessLog;
import panamoe.harness.serve.log.LogWriter;
import panamoe.harness.serve.log.LoggedCompletion;
import panamoe.harness.serve.log.Metrics;
import panamoe.harness.serve.log.RequestLog;
import panamoe.harness.serve.model.Constraints;
import panamoe.harness.serve.model.ServedModel;
import panamoe.open.EmbeddingForm;
import panamoe.open.ExpertHeat;
import panamoe.open.SamplingDefaults;
import panamoe.retrieval.RerankForm;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A server over a model that is a hash, with clients. */
public final class TestServer implements AutoCloseable {
  /** The number of requests of the long tests. */
  static final int REQUESTS = Integer.getInteger("panamoe.serve.requests", 1000);

  public static final int CONTEXT = 400;
  static final String MODEL = "hash";

  /** The hash's logits stand for hidden states too. */
  public static final ServedModel.Uses USES =
      new ServedModel.Uses(
          true,
          true,
          61,
          new EmbeddingForm(Readout.MEAN, true, Map.of("query", "ask: "), null),
          new RerankForm("{instruction}\n{query}\n{document}", 3, 4),
          List.of());

  public static final EngineConfig ENGINE = new EngineConfig(400, 16, 16, 64, 0.25, true, 0);
  public static final Limits LIMITS =
      limits(16, 256, Duration.ofSeconds(30), Duration.ofSeconds(15), Duration.ofSeconds(20), 2048);

  private static final JsonMapper JSON = JsonMapper.shared();

  final ServedModel model;
  public final List<String> log = Collections.synchronizedList(new ArrayList<>());
  public final Metrics metrics = new Metrics(Map.of("version", "1", "model", MODEL));
  final ApiServer server;
  public final EngineThread engine;
  final RequestLog requests;
  private final AccessLog accesses;
  private final HttpClient client = HttpClient.newHttpClient();
  private static volatile OpenApi api; // of all servers; null before the first exchange

  public TestServer() throws IOException {
    this(LIMITS, ApiKeys.NONE, () -> {});
  }

  public TestServer(Limits limits, ApiKeys keys, Runnable beforeStep) throws IOException {
    this(limits, keys, ENGINE, beforeStep);
  }

  public TestServer(Limits limits, ApiKeys keys, EngineConfig config, Runnable beforeStep)
      throws IOException {
    this(limits, keys, config, beforeStep, null);
  }

  /** With another model than the hash. */
  public TestServer(Engine writer) throws IOException {
    this(HashEngine.TOKENIZER, CONTEXT, writer);
  }

  /** With another model and its tokens. */
  public TestServer(Tokenizer tokenizer, int context, Engine writer) throws IOException {
    this(
        LIMITS,
        access(ApiKeys.NONE),
        null,
        ChatFormat.lines(tokenizer),
        context,
        writer,
        null,
        null);
  }

  /** The hash with a template. */
  public TestServer(ChatTemplate template) throws IOException {
    this(template, HashEngine.TOKENIZER, CONTEXT, HashEngine.of(ENGINE, CONTEXT, () -> {}));
  }

  /** Another model with a template. */
  public TestServer(ChatTemplate template, Tokenizer tokenizer, int context, Engine writer)
      throws IOException {
    this(
        LIMITS,
        access(ApiKeys.NONE),
        null,
        ChatFormat.of(template, tokenizer),
        context,
        writer,
        null,
        null);
  }

  /**
   * The hash for some clients.
   *
   * @param tls the certificate; null for HTTP without TLS
   * @param accessLog null for no log
   */
  public TestServer(Access access, TlsCertificate tls, Path accessLog, Runnable beforeStep)
      throws IOException {
    this(
        LIMITS,
        access,
        tls,
        ChatFormat.lines(HashEngine.TOKENIZER),
        CONTEXT,
        HashEngine.of(ENGINE, CONTEXT, beforeStep),
        null,
        accessLog);
  }

  /**
   * @param logFolder for completions; null for no log
   */
  public TestServer(
      Limits limits, ApiKeys keys, EngineConfig config, Runnable beforeStep, Path logFolder)
      throws IOException {
    this(
        limits,
        access(keys),
        null,
        ChatFormat.lines(HashEngine.TOKENIZER),
        CONTEXT,
        HashEngine.of(config, CONTEXT, beforeStep),
        logFolder,
        null);
  }

  private TestServer(
      Limits limits,
      Access access,
      TlsCertificate tls,
      ChatFormat chat,
      int context,
      Engine writer,
      Path logFolder,
      Path accessLog)
      throws IOException {
    this(limits, access, tls, USES, chat, context, writer, logFolder, accessLog);
  }

  /** A model with other uses. */
  public TestServer(ServedModel.Uses uses, Tokenizer tokenizer, int context, Engine writer)
      throws IOException {
    this(
        LIMITS,
        access(ApiKeys.NONE),
        null,
        uses,
        ChatFormat.lines(tokenizer),
        context,
        writer,
        null,
        null);
  }

  private TestServer(
      Limits limits,
      Access access,
      TlsCertificate tls,
      ServedModel.Uses uses,
      ChatFormat chat,
      int context,
      Engine writer,
      Path logFolder,
      Path accessLog)
      throws IOException {
    model =
        new ServedModel(
            MODEL,
            context,
            "fp_hash",
            1_700_000_000,
            new Constraints(chat.tokenizer()),
            new ServedModel.Defaults(new AtomicLong(1), SamplingDefaults.NONE),
            uses,
            chat);
    requests =
        logFolder == null
            ? null
            : new RequestLog(
                logFolder,
                new LoggedCompletion.Origin(
                    MODEL,
                    "/none",
                    ComputeType.F32,
                    null,
                    null,
                    KeyValueType.DTYPE,
                    null,
                    null,
                    "hash",
                    "fp_hash",
                    chat.form()),
                LogWriter.QUEUE,
                metrics,
                log::add);
    accesses = accessLog == null ? null : new AccessLog(accessLog, metrics, log::add);
    server =
        new ApiServer(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            tls,
            model,
            limits,
            access,
            metrics,
            requests,
            accesses,
            log::add);
    engine = new EngineThread(writer, metrics::stepped, server::stop);
    server.ready(engine);
  }

  /** For the pages of this server alone. */
  public static Access access(ApiKeys keys) {
    return new Access(keys, new AllowedHosts(List.of()), Set.of());
  }

  /** The limits with other bounds and times. */
  public static Limits limits(int sequences, int queued, Duration slowReader, Duration ping) {
    return limits(sequences, queued, slowReader, ping, Duration.ofSeconds(1), 2048);
  }

  /** The limits with room for fewer connections. */
  public static Limits limits(int connections) {
    Duration second = Duration.ofSeconds(1);
    return limits(16, 256, Duration.ofSeconds(30), Duration.ofSeconds(15), second, connections);
  }

  private static Limits limits(
      int sequences,
      int queued,
      Duration slowReader,
      Duration ping,
      Duration shutdown,
      int connections) {
    Duration idle = Duration.ofMillis(50);
    return new Limits(
        new Limits.Queue(sequences, queued, 1_000_000, Limits.Queue.ANY_WAIT),
        new Limits.Http(connections, idle, 1 << 20, 16 << 20, slowReader, ping),
        1_000_000,
        shutdown);
  }

  public HttpRequest.Builder to(String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path));
  }

  public HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return valid(path, null, client.send(to(path).build(), BodyHandlers.ofString()));
  }

  public HttpResponse<String> post(String path, String body)
      throws IOException, InterruptedException {
    return valid(
        path,
        quoted(body),
        client.send(
            to(path).POST(BodyPublishers.ofString(quoted(body))).build(), BodyHandlers.ofString()));
  }

  private HttpResponse<String> valid(String path, String body, HttpResponse<String> answer)
      throws IOException, InterruptedException {
    if (api == null) {
      api = new OpenApi(new AboutEndpoint().document());
    }
    api.require(path, body, answer);
    return answer;
  }

  public int statusOf(String path, String body) {
    try {
      return post(path, body).statusCode();
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  public HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
    return client.send(request, BodyHandlers.ofString());
  }

  /** Like a server that finds the counts of earlier ones. */
  void keeps(List<ExpertHeat.Layer> layers) {
    server.keeps(layers);
  }

  /** The JSON of a response that must be 200. */
  public JsonNode ask(String path, String body) throws IOException, InterruptedException {
    HttpResponse<String> answer = post(path, body);
    assertEquals(200, answer.statusCode(), answer::body);
    return JSON.readTree(answer.body());
  }

  public static JsonNode json(String text) throws IOException {
    return JSON.readTree(text);
  }

  /** JSON written with single quotes. */
  public static String quoted(String json) {
    return json.replace('\'', '"');
  }

  /** A connection that has sent a POST and read nothing. */
  public Socket raw(String path, String body) throws IOException {
    return raw(path, body, Integer.MAX_VALUE);
  }

  /** A connection that has sent the first bytes of a POST. */
  public Socket raw(String path, String body, int most) throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port());
    int length = quoted(body).getBytes(StandardCharsets.UTF_8).length;
    String head =
        "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + "\r\n\r\n";
    byte[] all = (head + quoted(body)).getBytes(StandardCharsets.UTF_8);
    socket.getOutputStream().write(all, 0, Math.min(most, all.length));
    return socket;
  }

  public int port() {
    return server.port();
  }

  /** Unfinished completion requests. */
  public int waiting() {
    return server.waiting();
  }

  /** Stops without waiting for running requests. */
  public void stopAtOnce() throws InterruptedException {
    server.stop();
    server.stop();
    server.awaitStop();
  }

  /** Waits until the cache is unused and the queue is empty. */
  public void awaitIdle() throws InterruptedException {
    await(
        () -> {
          EngineThread.Status status = engine.status();
          return status.usage() == 0 && status.running() == 0 && status.waiting() == 0;
        });
  }

  public static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() - end < 0, "nothing came of it in 30 s");
      Thread.sleep(5);
    }
  }

  public static void pause(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    engine.close();
    server.close();
    if (requests != null) {
      requests.close();
    }
    if (accesses != null) {
      accesses.close();
    }
    client.close();
  }
}
