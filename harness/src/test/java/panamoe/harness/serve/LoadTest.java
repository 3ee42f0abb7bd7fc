package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.engine.EngineConfig;
import panamoe.harness.serve.http.ApiKeys;
import panamoe.harness.serve.http.Limits;
import tools.jackson.databind.JsonNode;

/** Many clients, and clients that leave, wait or do not read. */
@Timeout(3600)
class LoadTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String CHECK =
      "{'prompt':'check','seed':3,'max_tokens':40,'ignore_eos':true,'logprobs':2}";

  private static String body(int i) {
    return "{'prompt':'"
        + "shared words ".repeat(i % 4)
        + "text "
        + (char) ('a' + i % 26)
        + "','seed':"
        + i
        + ",'max_tokens':"
        + (5 + i % 37)
        + ",'logprobs':1,'n':"
        + (1 + i % 3)
        + "}";
  }

  private static Future<JsonNode> later(ExecutorService threads, TestServer server, String body) {
    return threads.submit(() -> server.ask(COMPLETIONS, body).get("choices"));
  }

  @Test
  void fiftyAtATimeAreAsAlone() throws Exception {
    Map<Integer, JsonNode> alone = new HashMap<>();
    try (TestServer server = new TestServer()) {
      for (int i = 0; i < 100; i++) {
        alone.put(i, server.ask(COMPLETIONS, body(i)).get("choices"));
      }
    }
    // A cache that is too small for all, so that sequences are preempted.
    EngineConfig tight = new EngineConfig(40, 16, 16, 24, 0, true, 0);
    try (TestServer server = new TestServer(TestServer.LIMITS, ApiKeys.NONE, tight, () -> {});
        ExecutorService threads = Executors.newFixedThreadPool(50)) {
      Map<Integer, Future<JsonNode>> together = new HashMap<>();
      for (int i = 0; i < 100; i++) {
        together.put(i, later(threads, server, body(i)));
      }
      for (int i = 0; i < 100; i++) {
        assertEquals(alone.get(i), together.get(i).get(), "request " + i);
      }
      server.awaitIdle();
    }
  }

  @Test
  void whoLeavesFreesHisBlocksAndChangesNothing() throws Exception {
    Limits pinging = TestServer.limits(16, 256, Duration.ofSeconds(30), Duration.ofMillis(20));
    Random random = new Random(4);
    try (TestServer server = new TestServer(pinging, ApiKeys.NONE, () -> TestServer.pause(1))) {
      JsonNode expected = server.ask(COMPLETIONS, CHECK).get("choices");
      for (int round = 0; round < TestServer.REQUESTS / 100; round++) {
        List<Socket> leaving = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
          boolean stream = i % 2 == 0;
          String body =
              "{'prompt':'gone','max_tokens':390,'ignore_eos':true,'n':2,'stream':" + stream + "}";
          leaving.add(
              random.nextInt(4) == 0
                  ? server.raw(COMPLETIONS, body, random.nextInt(150)) // during the request
                  : server.raw(COMPLETIONS, body));
        }
        for (Socket socket : leaving) {
          Thread.sleep(random.nextInt(20));
          if (random.nextInt(3) == 0) {
            socket.setSoTimeout(1);
            readSome(socket, random.nextInt(2000));
          }
          if (random.nextBoolean()) {
            socket.setSoLinger(true, 0); // a reset
          }
          socket.close();
        }
        assertEquals(expected, server.ask(COMPLETIONS, CHECK).get("choices"));
      }
      server.awaitIdle();
      assertTrue(counted(server, "panamoe_request_cancellations_total{reason=\"disconnect\"}") > 0);
      assertEquals(expected, server.ask(COMPLETIONS, CHECK).get("choices"));
      assertEquals(List.of(), server.log);
    }
  }

  private static void readSome(Socket socket, int bytes) {
    try {
      socket.getInputStream().readNBytes(bytes);
    } catch (IOException _) {
      // no more bytes yet
    }
  }

  private static double counted(TestServer server, String metric)
      throws IOException, InterruptedException {
    return server
        .get("/metrics")
        .body()
        .lines()
        .filter(line -> line.startsWith(metric + " "))
        .mapToDouble(line -> Double.parseDouble(line.substring(metric.length() + 1)))
        .sum();
  }

  /**
   * The kernel's buffers take some hundred kilobytes: many choices with logprobs fill them.
   *
   * @param pause milliseconds between two bytes that the client reads; 0: it reads nothing
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 1000})
  void whoDoesNotReadIsCutOffAndNobodyWaits(int pause) throws Exception {
    Limits impatient = TestServer.limits(200, 256, Duration.ofMillis(300), Duration.ofSeconds(15));
    EngineConfig roomy = new EngineConfig(4000, 16, 128, 256, 0.25, true, 0);
    try (TestServer server = new TestServer(impatient, ApiKeys.NONE, roomy, () -> {});
        Socket silent =
            server.raw(
                COMPLETIONS,
                "{'prompt':'x','n':100,'max_tokens':390,'ignore_eos':true,'stream':true,"
                    + "'logprobs':20,'return_token_ids':true}")) {
      assertTrue(silent.isConnected());
      if (pause > 0) {
        Thread.startVirtualThread(() -> trickle(silent, pause));
      }
      server.ask(COMPLETIONS, CHECK);
      TestServer.await(() -> server.engine.status().running() == 0);
      String reason = "panamoe_request_cancellations_total{reason=\"slow_reader\"}";
      long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (counted(server, reason) == 0) {
        assertTrue(System.nanoTime() - end < 0, "the silent client still holds its connection");
        Thread.sleep(20);
      }
      server.awaitIdle();
    }
  }

  private static void trickle(Socket socket, int pause) {
    try {
      while (socket.getInputStream().read() >= 0) {
        TestServer.pause(pause);
      }
    } catch (IOException _) {
      // it was cut off
    }
  }

  @Test
  void whoComesTooManyIsToldToComeBack() throws Exception {
    Semaphore steps = new Semaphore(0);
    Limits small = TestServer.limits(1, 2, Duration.ofSeconds(30), Duration.ofSeconds(15));
    EngineConfig one = new EngineConfig(400, 16, 1, 64, 0.25, true, 0);
    try (TestServer server =
            new TestServer(small, ApiKeys.NONE, one, steps::acquireUninterruptibly);
        ExecutorService threads = Executors.newCachedThreadPool()) {
      List<Future<JsonNode>> taken = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        taken.add(later(threads, server, "{'prompt':'x','max_tokens':3,'ignore_eos':true}"));
      }
      TestServer.await(() -> refusedNow(server));
      HttpResponse<String> refused = server.post(COMPLETIONS, "{'prompt':'x','n':2}");
      assertEquals(429, refused.statusCode());
      assertEquals("queue_full", TestServer.json(refused.body()).at("/error/code").stringValue());
      assertTrue(Integer.parseInt(refused.headers().firstValue("Retry-After").orElseThrow()) >= 1);
      assertTrue(
          Integer.parseInt(refused.headers().firstValue("retry-after-ms").orElseThrow()) >= 100);
      assertEquals("false", refused.headers().firstValue("x-should-retry").orElseThrow());
      HttpResponse<String> never = server.post(COMPLETIONS, "{'prompt':'x','n':4}");
      assertEquals(400, never.statusCode());
      steps.release(1000);
      for (Future<JsonNode> text : taken) {
        assertEquals(1, text.get().size());
      }
      server.awaitIdle();
      server.ask(COMPLETIONS, "{'prompt':'x','n':3,'max_tokens':2}");
      assertTrue(counted(server, "panamoe_admission_rejections_total{reason=\"queue_full\"}") >= 2);
      steps.release(1000);
    }
  }

  private static boolean refusedNow(TestServer server) {
    try {
      return server.server.waiting() == 3
          && server.post(COMPLETIONS, "{'prompt':'x','max_tokens':0}").statusCode() == 429;
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void drainingLetsRunningTextsEndAndRefusesNewOnes() throws Exception {
    Semaphore steps = new Semaphore(3);
    try (TestServer server =
            new TestServer(TestServer.LIMITS, ApiKeys.NONE, steps::acquireUninterruptibly);
        ExecutorService threads = Executors.newCachedThreadPool()) {
      Future<JsonNode> running =
          later(threads, server, "{'prompt':'x','max_tokens':30,'ignore_eos':true}");
      TestServer.await(() -> server.engine.status().running() == 1);
      Future<?> drained = threads.submit(() -> drain(server));
      server.server.stop();
      TestServer.await(() -> health(server) == 503);
      assertEquals(TestServer.quoted("{'status':'draining'}"), server.get("/health").body());
      assertEquals(200, server.get("/livez").statusCode());
      HttpResponse<String> refused = server.post(COMPLETIONS, "{'prompt':'x'}");
      assertEquals(503, refused.statusCode());
      assertEquals("draining", TestServer.json(refused.body()).at("/error/code").stringValue());
      assertTrue(refused.headers().firstValue("Retry-After").isPresent());
      assertFalse(drained.isDone());
      steps.release(1000);
      assertEquals(1, running.get().size());
      drained.get();
    }
  }

  @Test
  void whatIsLeftAtTheEndOfTheTimeGetsAnError() throws Exception {
    Limits hasty = TestServer.limits(16, 256, Duration.ofSeconds(30), Duration.ofSeconds(15));
    requireCut(hasty, 1);
  }

  @Test
  void aSecondSignalEndsAtOnce() throws Exception {
    requireCut(TestServer.LIMITS, 2);
  }

  private static void requireCut(Limits limits, int signals) throws Exception {
    long begin = System.nanoTime();
    try (TestServer server = new TestServer(limits, ApiKeys.NONE, () -> TestServer.pause(20));
        ExecutorService threads = Executors.newCachedThreadPool();
        Socket stream =
            server.raw(
                COMPLETIONS, "{'prompt':'x','max_tokens':390,'ignore_eos':true,'stream':true}")) {
      TestServer.await(() -> server.engine.status().running() == 1);
      Future<HttpResponse<String>> whole =
          threads.submit(
              () -> server.post(COMPLETIONS, "{'prompt':'x','max_tokens':390,'ignore_eos':true}"));
      TestServer.await(() -> server.engine.status().running() == 2);
      for (int i = 0; i < signals; i++) {
        server.server.stop();
      }
      drain(server);
      server.server.close();
      String told = new String(stream.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(
          told.contains("event: error\ndata: {\"error\":{\"message\":\"the server stopped"), told);
      assertFalse(told.contains("[DONE]"));
      assertEquals(503, whole.get().statusCode());
      server.awaitIdle();
    }
    assertTrue(System.nanoTime() - begin < Duration.ofSeconds(15).toNanos());
  }

  private static Void drain(TestServer server) throws InterruptedException {
    server.server.awaitStop();
    return null;
  }

  private static int health(TestServer server) {
    try {
      return server.get("/health").statusCode();
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void aDeadEngineIsTold() throws Exception {
    Semaphore steps = new Semaphore(2);
    try (TestServer server =
            new TestServer(
                TestServer.LIMITS,
                ApiKeys.NONE,
                () -> {
                  if (!steps.tryAcquire()) {
                    throw new AssertionError("broken");
                  }
                });
        ExecutorService threads = Executors.newCachedThreadPool()) {
      Future<HttpResponse<String>> running =
          threads.submit(
              () -> server.post(COMPLETIONS, "{'prompt':'x','max_tokens':9,'ignore_eos':true}"));
      assertEquals(503, running.get().statusCode());
      assertEquals("failed", TestServer.json(running.get().body()).at("/error/code").stringValue());
      TestServer.await(() -> !server.engine.alive()); // sequences get their errors first
      assertEquals(TestServer.quoted("{'status':'failed'}"), server.get("/health").body());
      assertEquals(503, server.post(COMPLETIONS, "{'prompt':'x'}").statusCode());
      assertEquals(TestServer.quoted("{'status':'failed'}"), server.get("/livez").body());
      assertEquals(503, server.get("/livez").statusCode());
      assertEquals(1, server.log.size());
    }
  }
}
