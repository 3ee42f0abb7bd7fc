package panamoe.lab.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Tests loads against a server that answers one request after the other in a fixed time. */
class LoadRunTest {
  private static final LatencyTargets TARGETS =
      new LatencyTargets(Duration.ofMillis(200), Duration.ofMillis(50));
  private static final String TEXT =
      """
      data: {"choices":[{"text":"a"}]}

      data: {"choices":[{"text":"b"}]}

      data: {"choices":[],"usage":{"completion_tokens":2}}

      """;

  private final AtomicInteger asked = new AtomicInteger();
  private final ExecutorService one = Executors.newSingleThreadExecutor();
  private HttpServer server;
  private int status = 200;
  private String text = TEXT;
  private int millis;
  private String end = "data: [DONE]\n\n";
  private int openMillis; // time that a stream stays open after its text
  private final Set<InetSocketAddress> connections = ConcurrentHashMap.newKeySet();

  /** The endpoint limits headers for all servers of a JVM if it is loaded before the first one. */
  @BeforeAll
  static void loadTheEndpoint() throws ClassNotFoundException {
    Class.forName("panamoe.harness.serve.ApiServer");
  }

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(one);
    server.createContext(
        "/v1/models", exchange -> answer(exchange, 200, "{\"data\":[{\"id\":\"m\"}]}"));
    server.createContext(
        "/v1/completions",
        exchange -> {
          asked.incrementAndGet();
          exchange.getRequestBody().readAllBytes();
          connections.add(exchange.getRemoteAddress());
          sleep(millis);
          if (openMillis == 0) {
            answer(exchange, status, text + end);
            return;
          }
          exchange.sendResponseHeaders(status, 0);
          exchange.getResponseBody().write((text + end).getBytes(StandardCharsets.UTF_8));
          exchange.getResponseBody().flush();
          sleep(openMillis);
          exchange.close();
        });
    server.start();
  }

  private static void sleep(int millis) throws IOException {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  private static void answer(HttpExchange exchange, int status, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  @AfterEach
  void stop() {
    server.stop(0);
    one.shutdownNow();
  }

  private LoadClient client() throws Exception {
    return new LoadClient("http://127.0.0.1:" + server.getAddress().getPort() + "/v1");
  }

  private static LoadRun run(LoadClient client) {
    return new LoadRun(client, new RequestMix(new RequestMix.Shape(8, 8, 0), 4, 1), 1);
  }

  private static LoadResult result(List<RequestResult> outcomes, double seconds) {
    return LoadResult.of("test", seconds, seconds, outcomes, TARGETS);
  }

  @Test
  void countsWhatWasAnswered() throws Exception {
    try (LoadClient client = client()) {
      assertEquals("m", client.model().id());
      assertEquals(4, client.lettersPerToken("four letters"));
      LoadResult result = result(run(client).closed(2, 0.3), 0.3);
      assertEquals(asked.get(), result.requests());
      assertEquals(asked.get() / 0.3, result.donePerS(), 1e-9);
      assertEquals(2 * asked.get() / 0.3, result.tokensPerS(), 1e-9);
    }
  }

  @Test
  void aCompletionWithoutTextComesAtItsEnd() throws Exception {
    text = "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n";
    millis = 20;
    try (LoadClient client = client()) {
      for (RequestResult result : run(client).closed(1, 0.1)) {
        assertEquals(RequestResult.Kind.DONE, result.kind());
        assertTrue(result.firstNanos() >= 20_000_000L, result::toString);
        assertEquals(result.firstNanos(), result.wholeNanos());
      }
    }
  }

  /** The wait of a request counts from its due time. */
  @Test
  void anOpenLoopCountsTheWaiting() throws Exception {
    millis = 100;
    try (LoadClient client = client()) {
      List<RequestResult> outcomes = run(client).open(30, 0.5);
      LoadResult result = result(outcomes, 0.5);
      assertTrue(outcomes.size() > 5, () -> outcomes.size() + " requests");
      double last = 100.0 * outcomes.size() - 500;
      assertTrue(result.firstMsP99() >= last, result::toString);
      assertTrue(result.goodPerS() < result.donePerS(), result::toString);
    }
  }

  @Test
  void refusalsAndFailuresAreApart() throws Exception {
    try (LoadClient client = client()) {
      for (int refusal : new int[] {429, 503}) {
        status = refusal;
        assertEquals(
            RequestResult.Kind.REFUSED, client.ask(new RequestMix.Asked("p", 2), 0).kind());
      }
      status = 500;
      assertEquals(RequestResult.Kind.FAILED, client.ask(new RequestMix.Asked("p", 2), 0).kind());
      status = 200;
      end = "";
      assertEquals(RequestResult.Kind.FAILED, client.ask(new RequestMix.Asked("p", 2), 0).kind());
      server.stop(0);
      assertEquals(RequestResult.Kind.FAILED, client.ask(new RequestMix.Asked("p", 2), 0).kind());
    }
  }

  @Test
  void aConnectionIsKeptWhereAStreamEndsLate() throws Exception {
    openMillis = 30;
    try (LoadClient client = client()) {
      for (int i = 0; i < 5; i++) {
        assertEquals(RequestResult.Kind.DONE, client.ask(new RequestMix.Asked("p", 2), 0).kind());
      }
    }
    assertEquals(1, connections.size());
  }

  @Test
  void aStreamThatStopsHasFailed() throws Exception {
    end = "";
    openMillis = 5000;
    String url = "http://127.0.0.1:" + server.getAddress().getPort();
    try (LoadClient client = new LoadClient(url, Duration.ofSeconds(1))) {
      RequestResult outcome = client.ask(new RequestMix.Asked("p", 2), 0);
      assertEquals(RequestResult.Kind.FAILED, outcome.kind());
      assertTrue(outcome.why().contains("nothing came for 1 s"), outcome.why());
    }
  }

  @Test
  void noServerIsNoModel() {
    server.stop(0);
    assertThrows(IOException.class, this::client);
  }
}
