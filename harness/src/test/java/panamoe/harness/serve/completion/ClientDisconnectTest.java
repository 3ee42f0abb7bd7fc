package panamoe.harness.serve.completion;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiKeys;

/** Clients that leave, or stay, while they wait. */
@Timeout(60)
class ClientDisconnectTest {
  private static final int CONTEXT = 200;
  private static final String PATH = "/v1/completions";
  private static final String BODY =
      "{'prompt':'x','max_tokens':9,'response_format':{'type':'json_object'}}";
  private static final String LAST =
      "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

  private static final String LEFT = "panamoe_request_cancellations_total{reason=\"disconnect\"} ";

  private final CountDownLatch begun = new CountDownLatch(1);
  private final CountDownLatch end = new CountDownLatch(1);
  private final CountDownLatch interrupted = new CountDownLatch(1);

  /** Bytes; a grammar's thread waits until {@link #end}. */
  private final Tokenizer slow =
      new Tokenizer() {
        private final Tokenizer bytes = new ByteTokenizer();

        @Override
        public byte[] bytesOf(int token) {
          if (Thread.currentThread().getName().startsWith("grammar-")) {
            begun.countDown();
            try {
              end.await();
            } catch (InterruptedException e) {
              interrupted.countDown();
              throw new CancellationException();
            }
          }
          return bytes.bytesOf(token);
        }

        @Override
        public int[] encode(String text) {
          return bytes.encode(text);
        }

        @Override
        public int vocabularySize() {
          return bytes.vocabularySize();
        }

        @Override
        public int endOfText() {
          return bytes.endOfText();
        }

        @Override
        public String sha256() {
          return bytes.sha256();
        }
      };

  private TestServer server() throws IOException {
    EngineConfig config = new EngineConfig(300, 16, 16, 64, 0.25, true, 0);
    return new TestServer(slow, CONTEXT, ScriptedEngine.of(config, CONTEXT, "{}"));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aGrammarEndsWithItsClient(boolean reset) throws Exception {
    try (TestServer server = server()) {
      Socket client = server.raw(PATH, BODY);
      begun.await();
      leave(client, reset);
      interrupted.await();
      while (!server.get("/metrics").body().contains(LEFT + "1.0")) {
        Thread.sleep(1);
      }
      end.countDown();
      assertEquals("{}", server.ask(PATH, BODY).at("/choices/0/text").stringValue());
    }
  }

  /** Without a token that is written, and without a ping. */
  @ParameterizedTest
  @CsvSource({"false, false", "false, true", "true, false", "true, true"})
  void aPlaceIsFreeWhenItsClientLeaves(boolean stream, boolean reset) throws Exception {
    Semaphore steps = new Semaphore(0);
    Duration never = Duration.ofHours(1);
    String body = "{'prompt':'x','max_tokens':300,'ignore_eos':true,'stream':" + stream + "}";
    try (TestServer server =
            new TestServer(
                TestServer.limits(1, 1, never, never),
                ApiKeys.NONE,
                steps::acquireUninterruptibly);
        AutoCloseable _ = () -> steps.release(10_000)) {
      Socket running = server.raw(PATH, body);
      TestServer.await(() -> server.waiting() == 1);
      Socket queued = server.raw(PATH, body);
      TestServer.await(() -> server.waiting() == 2);
      assertEquals(429, server.statusOf(PATH, body));
      leave(queued, reset);
      TestServer.await(() -> server.waiting() == 1);
      leave(running, reset);
      TestServer.await(() -> server.waiting() == 0);
      steps.release(10_000);
      server.awaitIdle();
      assertTrue(server.get("/metrics").body().contains(LEFT + "2.0"));
    }
  }

  private static void leave(Socket client, boolean reset) throws IOException {
    client.setSoLinger(reset, 0);
    client.close();
  }

  /** A client that has read the last chunk may close the connection before the server looks. */
  @Test
  void whoReadsToTheEndHasNotLeft() throws Exception {
    try (TestServer server = new TestServer()) {
      for (int i = 0; i < 10; i++) {
        try (Socket client = server.raw(PATH, "{'prompt':'x','max_tokens':3,'stream':true}")) {
          InputStream in = client.getInputStream();
          StringBuilder read = new StringBuilder();
          while (!read.toString().endsWith("\r\n0\r\n\r\n")) {
            read.append((char) in.read());
          }
        }
      }
      TestServer.await(() -> server.waiting() == 0);
      assertFalse(server.get("/metrics").body().contains(LEFT));
    }
  }

  /** Also after the client has sent its next request, which is then answered. */
  @Test
  void aClientThatWaitsIsAnswered() throws Exception {
    try (TestServer server = server();
        Socket client = server.raw(PATH, BODY)) {
      begun.await();
      OutputStream out = client.getOutputStream();
      out.write(LAST.replace("Connection: close\r\n", "").getBytes(StandardCharsets.US_ASCII));
      Thread.sleep(200); // so that the server checks the connection
      end.countDown();
      for (int answers = 1; answers <= 2; answers++) {
        readAnswer(client);
      }
      out.write(LAST.getBytes(StandardCharsets.US_ASCII));
      String rest = new String(client.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(rest.startsWith("HTTP/1.1 200 "), rest);
    }
  }

  @Test
  void aGrammarTakesTheRequestsTime() throws Exception {
    int millis = 300;
    try (TestServer server = server();
        Socket client =
            server.raw(
                PATH, BODY.replace("'max_tokens'", "'timeout_ms':" + millis + ",'max_tokens'"))) {
      begun.await();
      Thread.sleep(millis + 1);
      end.countDown();
      byte[] status = client.getInputStream().readNBytes("HTTP/1.1 504".length());
      assertEquals("HTTP/1.1 504", new String(status, StandardCharsets.US_ASCII));
    }
  }

  private static void readAnswer(Socket client) throws IOException {
    StringBuilder head = new StringBuilder();
    while (!head.toString().endsWith("\r\n\r\n")) {
      int next = client.getInputStream().read();
      assertTrue(next >= 0, head::toString);
      head.append((char) next);
    }
    assertTrue(head.toString().startsWith("HTTP/1.1 200 "), head::toString);
    String length = head.toString().replaceFirst("(?s).*Content-Length: (\\d+).*", "$1");
    client.getInputStream().readNBytes(Integer.parseInt(length));
  }
}
