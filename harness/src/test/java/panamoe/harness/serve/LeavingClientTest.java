package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.data.ByteTokenizer;
import panamoe.data.Tokenizer;
import panamoe.engine.EngineConfig;
import panamoe.engine.schedule.ScriptedEngine;

/** Clients of whose schemas a grammar is made when they leave, or do not. */
@Timeout(60)
class LeavingClientTest {
  private static final int CONTEXT = 200;
  private static final String PATH = "/v1/completions";
  private static final String BODY =
      "{'prompt':'x','max_tokens':9,'response_format':{'type':'json_object'}}";
  private static final String LAST =
      "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

  private final CountDownLatch begun = new CountDownLatch(1);
  private final CountDownLatch end = new CountDownLatch(1);
  private final CountDownLatch interrupted = new CountDownLatch(1);

  /** Bytes, for which a grammar's thread waits until the {@link #end}. */
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
      client.setSoLinger(reset, 0);
      client.close();
      interrupted.await();
      String counted = "panamoe_request_cancellations_total{reason=\"disconnect\"} 1.0";
      while (!server.get("/metrics").body().contains(counted)) {
        Thread.sleep(1);
      }
      end.countDown();
      assertEquals("{}", server.ask(PATH, BODY).at("/choices/0/text").stringValue());
    }
  }

  /** Also after the client has sent its next request, which is answered then. */
  @Test
  void aClientThatWaitsIsAnswered() throws Exception {
    try (TestServer server = server();
        Socket client = server.raw(PATH, BODY)) {
      begun.await();
      OutputStream out = client.getOutputStream();
      out.write(LAST.replace("Connection: close\r\n", "").getBytes(StandardCharsets.US_ASCII));
      Thread.sleep(200); // so that it is looked for
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
