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
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import panamoe.conversation.ChatFormat;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.EngineThread;
import panamoe.engine.schedule.HashEngine;
import panamoe.harness.ComputeType;
import panamoe.harness.KeyValueType;
import panamoe.open.ExpertHeat;
import panamoe.open.SamplingDefaults;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A server over a model that is a hash, and clients of it. */
final class TestServer implements AutoCloseable {
  /** How many requests the long tests send. */
  static final int REQUESTS = Integer.getInteger("panamoe.serve.requests", 1000);

  static final int CONTEXT = 400;
  static final String MODEL = "hash";
  static final EngineConfig ENGINE = new EngineConfig(400, 16, 16, 64, 0.25, true, 0);
  static final Limits LIMITS =
      new Limits(
          16,
          256,
          1_000_000,
          Limits.ANY_WAIT,
          1_000_000,
          1 << 20,
          16 << 20,
          Duration.ofSeconds(30),
          Duration.ofSeconds(15),
          Duration.ofSeconds(20));

  private static final JsonMapper JSON = JsonMapper.shared();

  final ServedModel model;
  final List<String> log = Collections.synchronizedList(new ArrayList<>());
  final Metrics metrics = new Metrics("1", MODEL);
  final ApiServer server;
  final EngineThread engine;
  final RequestLog requests;
  private final HttpClient client = HttpClient.newHttpClient();

  TestServer() throws IOException {
    this(LIMITS, ApiKeys.NONE, () -> {});
  }

  TestServer(Limits limits, ApiKeys keys, Runnable beforeStep) throws IOException {
    this(limits, keys, ENGINE, beforeStep);
  }

  TestServer(Limits limits, ApiKeys keys, EngineConfig config, Runnable beforeStep)
      throws IOException {
    this(limits, keys, config, beforeStep, null);
  }

  /** With another model than the hash. */
  TestServer(Engine writer) throws IOException {
    this(HashEngine.TOKENIZER, CONTEXT, writer);
  }

  /** With another model and its tokens. */
  TestServer(Tokenizer tokenizer, int context, Engine writer) throws IOException {
    this(LIMITS, ApiKeys.NONE, ChatFormat.lines(tokenizer), context, writer, null);
  }

  /** The hash with a template. */
  TestServer(ChatTemplate template) throws IOException {
    this(template, HashEngine.TOKENIZER, CONTEXT, HashEngine.of(ENGINE, CONTEXT, () -> {}));
  }

  /** Another model with a template. */
  TestServer(ChatTemplate template, Tokenizer tokenizer, int context, Engine writer)
      throws IOException {
    this(LIMITS, ApiKeys.NONE, ChatFormat.of(template, tokenizer), context, writer, null);
  }

  /**
   * @param logFolder where texts are logged; null: nowhere
   */
  TestServer(Limits limits, ApiKeys keys, EngineConfig config, Runnable beforeStep, Path logFolder)
      throws IOException {
    this(
        limits,
        keys,
        ChatFormat.lines(HashEngine.TOKENIZER),
        CONTEXT,
        HashEngine.of(config, CONTEXT, beforeStep),
        logFolder);
  }

  private TestServer(
      Limits limits, ApiKeys keys, ChatFormat chat, int context, Engine writer, Path logFolder)
      throws IOException {
    model =
        new ServedModel(
            MODEL,
            context,
            "fp_hash",
            1_700_000_000,
            new Constraints(chat.tokenizer()),
            new ServedModel.Defaults(new AtomicLong(1), SamplingDefaults.NONE),
            true,
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
                    "hash",
                    "fp_hash",
                    chat.form()),
                RequestLog.QUEUE,
                metrics,
                log::add);
    server =
        new ApiServer(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            model,
            limits,
            keys,
            new AllowedHosts(List.of()),
            metrics,
            requests,
            log::add);
    engine = new EngineThread(writer, metrics::stepped, server::stop);
    server.ready(engine);
  }

  /** The limits with other bounds and times. */
  static Limits limits(int sequences, int queued, Duration slowReader, Duration ping) {
    return new Limits(
        sequences,
        queued,
        1_000_000,
        Limits.ANY_WAIT,
        1_000_000,
        1 << 20,
        16 << 20,
        slowReader,
        ping,
        Duration.ofSeconds(1));
  }

  HttpRequest.Builder to(String path) {
    return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path));
  }

  HttpResponse<String> get(String path) throws IOException, InterruptedException {
    return client.send(to(path).build(), BodyHandlers.ofString());
  }

  HttpResponse<String> post(String path, String body) throws IOException, InterruptedException {
    return client.send(
        to(path).POST(BodyPublishers.ofString(quoted(body))).build(), BodyHandlers.ofString());
  }

  HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
    return client.send(request, BodyHandlers.ofString());
  }

  /** As a server that finds what servers before it counted. */
  void keeps(List<ExpertHeat.Layer> layers) {
    server.keeps(layers);
  }

  /** The JSON of an answer that must be 200. */
  JsonNode ask(String path, String body) throws IOException, InterruptedException {
    HttpResponse<String> answer = post(path, body);
    assertEquals(200, answer.statusCode(), answer::body);
    return JSON.readTree(answer.body());
  }

  static JsonNode json(String text) throws IOException {
    return JSON.readTree(text);
  }

  /** JSON written with single quotes. */
  static String quoted(String json) {
    return json.replace('\'', '"');
  }

  /** A connection that has sent a POST and read nothing. */
  Socket raw(String path, String body) throws IOException {
    return raw(path, body, Integer.MAX_VALUE);
  }

  /** As above, of which only the first bytes are sent. */
  Socket raw(String path, String body, int most) throws IOException {
    Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port());
    int length = quoted(body).getBytes(StandardCharsets.UTF_8).length;
    String head =
        "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + length + "\r\n\r\n";
    byte[] all = (head + quoted(body)).getBytes(StandardCharsets.UTF_8);
    socket.getOutputStream().write(all, 0, Math.min(most, all.length));
    return socket;
  }

  /** Waits until nothing of the cache is used and nobody waits. */
  void awaitIdle() throws InterruptedException {
    await(
        () -> {
          EngineThread.Status status = engine.status();
          return status.usage() == 0 && status.running() == 0 && status.waiting() == 0;
        });
  }

  static void await(BooleanSupplier condition) throws InterruptedException {
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() - end < 0, "nothing came of it in 30 s");
      Thread.sleep(5);
    }
  }

  static void pause(long millis) {
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
    client.close();
  }
}
