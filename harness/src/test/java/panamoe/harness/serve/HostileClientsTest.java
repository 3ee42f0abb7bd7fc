package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.HotSpotDiagnosticMXBean;
import com.sun.management.HotSpotDiagnosticMXBean.ThreadDumpFormat;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Activation;
import panamoe.backend.Backend;
import panamoe.backend.Backends;
import panamoe.config.GateConfig;
import panamoe.config.NormConfig;
import panamoe.config.UniformModel;
import panamoe.engine.schedule.Engine;
import panamoe.engine.schedule.HashEngine;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.model.LanguageModel;
import panamoe.tensor.DType;
import tools.jackson.databind.JsonNode;

/**
 * Hostile clients, and many harmless ones: after each test the cache is unused, no thread is left,
 * and a completion has the bits that it had before. {@code -Dpanamoe.serve.requests} makes the
 * tests longer.
 */
@Tag("slow")
@Timeout(3600)
class HostileClientsTest {
  private static final int CLIENTS = 8;
  private static final boolean LONG = TestServer.REQUESTS >= 10_000;
  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHAT = "/v1/chat/completions";
  private static final String CHECK =
      "{'prompt':'check','seed':3,'max_tokens':40,'ignore_eos':true,'logprobs':2}";
  // The statuses that a body can cause; 429 and 504 because it may ask for many choices.
  private static final Set<Integer> ANSWERS = Set.of(200, 400, 404, 429, 504);

  @TempDir private Path folder;

  /** A load on the server. */
  @FunctionalInterface
  private interface Clients {
    void run(TestServer server) throws Exception;
  }

  private void between(TestServer server, Clients clients) throws Exception {
    try (server) {
      JsonNode golden = server.ask(COMPLETIONS, CHECK).get("choices");
      clients.run(server);
      server.awaitIdle();
      assertEquals(golden, server.ask(COMPLETIONS, CHECK).get("choices"));
      server.awaitIdle();
      TestServer.await(() -> server.server.waiting() == 0);
      assertEquals(List.of(), server.log);
    }
    TestServer.await(() -> !threads().contains("ApiServer.answer"));
    assertFalse(threads().contains("EngineThread.drive"), this::threads);
  }

  /** The stacks of all threads, virtual ones too. */
  private String threads() {
    try {
      Path dump = folder.resolve("threads");
      Files.deleteIfExists(dump);
      ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
          .dumpThreads(dump.toAbsolutePath().toString(), ThreadDumpFormat.TEXT_PLAIN);
      return Files.readString(dump);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Calls {@code client} with each number below {@code count}, by some threads. */
  private static void inParallel(int count, Client client) throws Exception {
    AtomicInteger next = new AtomicInteger();
    try (ExecutorService threads = Executors.newFixedThreadPool(CLIENTS)) {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        running.add(
            threads.submit(
                () -> {
                  for (int n = next.getAndIncrement(); n < count; n = next.getAndIncrement()) {
                    client.call(n);
                  }
                  return null;
                }));
      }
      for (Future<?> client1 : running) {
        client1.get();
      }
    }
  }

  @FunctionalInterface
  private interface Client {
    void call(int number) throws Exception;
  }

  @Test
  void bodies() throws Exception {
    AtomicInteger good = new AtomicInteger();
    between(
        new TestServer(),
        server ->
            inParallel(
                TestServer.REQUESTS,
                number -> {
                  if (requireAnswered(server, number) == 200) {
                    good.incrementAndGet();
                  }
                }));
    // Some reach the engine, most do not.
    assertTrue(
        good.get() > TestServer.REQUESTS / 50 && good.get() < TestServer.REQUESTS / 2,
        good + " were good");
  }

  private static int requireAnswered(TestServer server, int number) throws Exception {
    byte[] body = HostileBodies.of(number);
    String path = number % 5 == 0 ? anyPath(server, number / 5) : path(body, number);
    HttpResponse<String> answer =
        server.send(server.to(path).POST(BodyPublishers.ofByteArray(body)).build());
    String told = "body " + number + ", " + HexFormat.of().formatHex(body) + ": " + answer.body();
    int status = answer.statusCode();
    if (status == 500) { // the completion may fail at a token of this model, for no other reason
      assertTrue(answer.body().matches(".*(not finite|token 59 is refused).*"), told);
    } else {
      assertTrue(ANSWERS.contains(status), () -> status + " to " + told);
    }
    if (status != 200) {
      JsonNode error = TestServer.json(answer.body()).get("error");
      assertNotNull((error.isString() ? error : error.get("message")).stringValue(), told);
    } else if (answer.headers().firstValue("Content-Type").orElse("").equals("text/event-stream")) {
      assertTrue(
          answer.body().endsWith("data: [DONE]\n\n")
              || answer.body().contains("event: response.")
              || answer.body().endsWith("{\"type\":\"message_stop\"}\n\n")
              || answer.body().contains("event: error"),
          told);
    }
    return status;
  }

  private static String anyPath(TestServer server, int number) {
    List<String> paths =
        server.server.methods().entrySet().stream()
            .filter(route -> "POST".equals(route.getValue()))
            .map(Map.Entry::getKey)
            .toList();
    return paths.get(number % paths.size());
  }

  /** The path that a body may be meant for. */
  private static String path(byte[] body, int number) {
    String text = new String(body, StandardCharsets.ISO_8859_1);
    if (text.contains("\"messages\"")) {
      return text.contains("\"options\"") ? "/api/chat" : number % 2 == 0 ? CHAT : "/v1/messages";
    }
    if (text.contains("\"documents\"")) {
      return "/v1/rerank";
    }
    return text.contains("\"dimensions\"")
        ? "/v1/embeddings"
        : text.contains("\"input\"") ? "/v1/responses" : COMPLETIONS;
  }

  /** Connections that send a part of a request and stay, while others are served. */
  @Test
  void halfOpenConnections() throws Exception {
    int count = Math.min(1500, TestServer.REQUESTS / 5);
    between(
        new TestServer(),
        server -> {
          List<Socket> open = new ArrayList<>();
          try {
            for (int i = 0; i < count; i++) {
              Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.server.port());
              open.add(socket);
              String said =
                  switch (i % 4) {
                    case 0 -> "";
                    case 1 -> "POST /v1/comp";
                    case 2 -> "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Len";
                    default ->
                        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{";
                  };
              socket.getOutputStream().write(said.getBytes(StandardCharsets.US_ASCII));
            }
            for (int i = 0; i < 20; i++) {
              server.ask(COMPLETIONS, "{'prompt':'x','max_tokens':3}");
            }
            if (LONG) {
              for (int i = 0; i < count; i++) {
                assertTrue(i % 4 == 0 || closes(open.get(i)), "connection " + i + " is still open");
              }
            }
          } finally {
            for (Socket socket : open) {
              socket.close();
            }
          }
        });
  }

  /** Whether the server closes a connection: a request has 60 s to arrive. */
  private static boolean closes(Socket socket) throws IOException {
    socket.setSoTimeout(100_000);
    try {
      socket.getInputStream().readAllBytes();
      return true;
    } catch (SocketTimeoutException _) {
      return false;
    } catch (IOException _) {
      return true; // by a reset
    }
  }

  /** Too many headers, long headers, and headers without an end. */
  @Test
  void headerFloods() throws Exception {
    between(
        new TestServer(),
        server ->
            inParallel(
                Math.max(20, TestServer.REQUESTS / 100),
                number -> {
                  StringBuilder head =
                      new StringBuilder("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n");
                  for (int i = 0; i < (number % 3 == 0 ? 1 : 2000); i++) {
                    head.append("X-").append(i).append(": ");
                    head.append("y".repeat(number % 3 == 0 ? 200_000 : 60)).append("\r\n");
                  }
                  String all = head.append(number % 3 == 2 ? "" : "\r\n").toString();
                  assertFalse(answerTo(server, all).startsWith("HTTP/1.1 200"));
                }));
  }

  /** Schemas and patterns of exponential size. */
  private static List<String> bombs() {
    StringBuilder schema =
        new StringBuilder("{'$ref':'#/$defs/d20','$defs':{'d0':{'type':'integer'}");
    for (int i = 1; i <= 20; i++) {
      String one = "{'$ref':'#/$defs/d" + (i - 1) + "'}";
      schema.append(",'d" + i + "':{'anyOf':[" + (one + ",").repeat(9) + one + "]}");
    }
    String pattern = "{'type':'string','pattern':'((a{1,1000}){1,1000}){1,1000}'}";
    return List.of(schema.append("}}").toString(), pattern);
  }

  /** Probes have a separate thread: they do not wait for other requests. */
  @Test
  void probesAreAnsweredMeanwhile() throws Exception {
    between(
        new TestServer(),
        server -> {
          List<Socket> held = new ArrayList<>();
          AtomicBoolean over = new AtomicBoolean();
          try (ExecutorService threads = Executors.newCachedThreadPool()) {
            String spaces = " ".repeat(TestServer.LIMITS.http().bodyBytes() - 1);
            for (int i = 0; i < 60; i++) {
              held.add(server.raw(COMPLETIONS, spaces, spaces.length()));
            }
            HttpRequest large = posted(server, spaces);
            for (String bomb : bombs()) {
              HttpRequest schema =
                  posted(
                      server,
                      "{'prompt':'x','max_tokens':1,'response_format':{'type':'json_schema',"
                          + "'json_schema':{'name':'b','schema':"
                          + bomb
                          + "}}}");
              for (int client = 0; client < CLIENTS; client++) {
                threads.submit(
                    () -> {
                      while (!over.get()) {
                        server.send(schema);
                        server.send(large);
                      }
                      return null;
                    });
              }
            }
            List<Double> millis = new ArrayList<>();
            for (int i = 0; i < 400; i++) {
              long start = System.nanoTime();
              assertEquals(200, server.get(i % 2 == 0 ? "/health" : "/livez").statusCode());
              millis.add((System.nanoTime() - start) / 1e6);
              Thread.sleep(5);
            }
            over.set(true);
            Collections.sort(millis);
            System.out.printf(
                Locale.ROOT,
                "probes among bombs, ms: median %.1f, 95 %% %.1f, 99 %% %.1f, most %.1f%n",
                millis.get(200),
                millis.get(379),
                millis.get(395),
                millis.get(399));
            // Only the long form has the machine to itself.
            assertTrue(!LONG || millis.get(379) <= 50, millis::toString);
          } finally {
            over.set(true);
            for (Socket socket : held) {
              socket.close();
            }
          }
        });
  }

  /** A prepared request, so that clients in this process take little of its time. */
  private static HttpRequest posted(TestServer server, String body) {
    byte[] bytes = TestServer.quoted(body).getBytes(StandardCharsets.US_ASCII);
    return server.to(COMPLETIONS).POST(BodyPublishers.ofByteArray(bytes)).build();
  }

  /** The server's response before it closes the connection; empty if it only closes. */
  private static String answerTo(TestServer server, String said) throws IOException {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.server.port())) {
      OutputStream out = socket.getOutputStream();
      out.write(said.getBytes(StandardCharsets.US_ASCII));
      socket.shutdownOutput();
      try (InputStream in = socket.getInputStream()) {
        return new String(in.readAllBytes(), StandardCharsets.UTF_8);
      }
    } catch (IOException _) {
      return ""; // reset before all was sent
    }
  }

  /** Every request meanwhile gets a complete response, or the error of a stopping server. */
  @Test
  void stopsUnderLoad() throws Exception {
    for (int round = 0; round < Math.max(2, TestServer.REQUESTS / 2000); round++) {
      TestServer server =
          new TestServer(TestServer.LIMITS, ApiKeys.NONE, () -> TestServer.pause(1));
      try (server;
          ExecutorService threads = Executors.newFixedThreadPool(2 * CLIENTS)) {
        List<Future<Integer>> loads = new ArrayList<>();
        for (int client = 0; client < 2 * CLIENTS; client++) {
          boolean stream = client % 2 == 0;
          loads.add(threads.submit(() -> untilItStops(server, stream)));
        }
        Thread.sleep(100 + 10 * (round % 20));
        server.server.stop();
        server.server.awaitStop();
        server.awaitIdle();
        server.server.close();
        int answered = 0;
        for (Future<Integer> load : loads) {
          answered += load.get();
        }
        assertTrue(answered > 0);
      }
    }
  }

  private static int untilItStops(TestServer server, boolean stream) throws Exception {
    for (int answered = 0; ; answered++) {
      HttpResponse<String> answer;
      try {
        answer =
            server.post(
                COMPLETIONS,
                "{'prompt':'load','max_tokens':30,'ignore_eos':true,'stream':" + stream + "}");
      } catch (IOException _) {
        return answered; // it does not listen any more
      }
      if (answer.statusCode() == 503) {
        assertEquals("draining", TestServer.json(answer.body()).at("/error/code").stringValue());
        return answered;
      }
      assertEquals(200, answer.statusCode(), answer::body);
      if (stream) {
        assertTrue(answer.body().endsWith("data: [DONE]\n\n"), answer::body);
      } else {
        assertEquals(30, TestServer.json(answer.body()).at("/usage/completion_tokens").intValue());
      }
    }
  }

  /** With a real model, whose steps take native memory. */
  @Test
  void memoryStaysAsItIs() throws Exception {
    try (Backend backend = Backends.open("cpu", 1);
        LanguageModel model = model(backend)) {
      Engine engine = new Engine(backend, model, HashEngine.TOKENIZER, TestServer.ENGINE);
      between(
          new TestServer(engine),
          server -> {
            int tenth = TestServer.REQUESTS / 10;
            inParallel(tenth, number -> write(server, number));
            Memory before = Memory.now();
            inParallel(9 * tenth, number -> write(server, tenth + number));
            Memory after = Memory.now();
            String told =
                "memory after "
                    + tenth
                    + " requests and ten times as many: "
                    + before
                    + ", "
                    + after;
            System.out.println(told);
            boolean isLong = tenth >= 10_000; // most of Java's code is compiled then
            assertTrue(after.heap() <= 1.05 * before.heap() + (isLong ? 0 : 8L << 20), told);
            long code = isLong ? 32L << 20 : 96L << 20;
            assertTrue(after.resident() <= before.resident() + code, told);
          });
    }
  }

  private static LanguageModel model(Backend backend) {
    LanguageModel model =
        new LanguageModel(
            new UniformModel(
                    HashEngine.TOKENIZER.vocabularySize(),
                    TestServer.CONTEXT,
                    16,
                    new UniformModel.Attention(2, 2, UniformModel.Positions.ROTARY),
                    new UniformModel.FeedForward(
                        24, Activation.SWIGLU, List.of(0, 4), false, GateConfig.dropless(1)),
                    NormConfig.Kind.RMS,
                    false,
                    0.2)
                .toConfig());
    model.materialize(backend, DType.FLOAT32, false, 3);
    model.pack(backend, DType.FLOAT32);
    return model;
  }

  private static void write(TestServer server, int number) throws Exception {
    String body =
        "{'prompt':'number "
            + "word ".repeat(number % 5)
            + "','max_tokens':"
            + (1 + number % 4)
            + ",'n':"
            + (1 + number % 2)
            + (number % 7 == 0 ? ",'stream':true" : "")
            + "}";
    assertEquals(200, server.post(COMPLETIONS, body).statusCode());
  }

  /** Bytes after a garbage collection: of Java's heap in use, of the process in memory. */
  private record Memory(long heap, long resident) {
    static Memory now() throws IOException, InterruptedException {
      long least = Long.MAX_VALUE;
      for (int i = 0; i < 3; i++) { // a later one frees what cleaners keep
        System.gc();
        Thread.sleep(100);
        least = Math.min(least, ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
      }
      String resident =
          Files.readAllLines(Path.of("/proc/self/status")).stream()
              .filter(line -> line.startsWith("VmRSS:"))
              .findFirst()
              .orElseThrow();
      return new Memory(least, 1024 * Long.parseLong(resident.replaceAll("\\D", "")));
    }

    @Override
    public String toString() {
      return (heap >> 20) + " MiB of heap, " + (resident >> 20) + " MiB resident";
    }
  }
}
