package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.data.Tokenizer;
import panamoe.engine.schedule.HashEngine;
import panamoe.harness.serve.http.ApiKeys;

/** Requests that try to take all memory or all processors. */
@Timeout(120)
class GreedyRequestsTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String ASKED = "{'prompt':'x','max_tokens':1,'ignore_eos':true}";

  /** Clients that hold large bodies without the last byte: later ones are refused or served. */
  @Test
  void heldBodiesLeaveRoomForOthers() throws Exception {
    int length = TestServer.LIMITS.http().bodyBytes() - 1;
    long count = TestServer.LIMITS.http().bodiesBytes() / (2L * length) + 8;
    List<Socket> held = new ArrayList<>();
    try (TestServer server = new TestServer()) {
      byte[] head =
          ("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                  + length
                  + "\r\n\r\n")
              .getBytes(StandardCharsets.US_ASCII);
      byte[] part = new byte[length - 1];
      for (int i = 0; i < count; i++) {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.server.port());
        held.add(socket);
        socket.getOutputStream().write(head);
        socket.getOutputStream().write(part);
      }
      TestServer.await(() -> refused(held) >= 8);
      server.ask(COMPLETIONS, ASKED); // small bodies have room
      HttpResponse<String> large = server.post(COMPLETIONS, " ".repeat(length));
      assertEquals(429, large.statusCode(), large::body);
      assertEquals("1", large.headers().firstValue("Retry-After").orElse(""));
      for (Socket socket : held) {
        socket.close();
      }
      TestServer.await(() -> is400(server, length)); // the memory is free again
      assertEquals(List.of(), server.log);
    }
  }

  /** A response that repeats its request takes memory for that. */
  @Test
  void responsesTakeMoreRoom() throws Exception {
    int length = TestServer.LIMITS.http().bodyBytes() - 100;
    List<Socket> held = new ArrayList<>();
    try (TestServer server = new TestServer()) {
      for (int i = 0; i < 6; i++) { // of the eight that have room
        held.add(server.raw(COMPLETIONS, " ".repeat(length), length));
      }
      String body = "{'input':'" + "x".repeat(length) + "'}";
      TestServer.await(() -> server.statusOf("/v1/responses", body) == 429);
      assertTrue(is400(server, length));
    } finally {
      for (Socket socket : held) {
        socket.close();
      }
    }
  }

  /** A refused body takes no memory, however much its client still sends. */
  @Test
  void refusedBodiesTakeNoRoom() throws Exception {
    int length = TestServer.LIMITS.http().bodyBytes() + 1;
    long count = TestServer.LIMITS.http().bodiesBytes() / (2L * length) + 2;
    String head =
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            + Integer.toHexString(length)
            + "\r\n";
    byte[] part = (head + " ".repeat(length)).getBytes(StandardCharsets.US_ASCII);
    List<Socket> held = new ArrayList<>();
    try (TestServer server = new TestServer()) {
      for (int i = 0; i < count; i++) {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.server.port());
        held.add(socket);
        socket.getOutputStream().write(part);
        String status =
            new String(socket.getInputStream().readNBytes(12), StandardCharsets.US_ASCII);
        assertEquals("HTTP/1.1 413", status);
      }
      TestServer.await(() -> is400(server, length - 2));
    } finally {
      for (Socket socket : held) {
        socket.close();
      }
    }
  }

  private static boolean is400(TestServer server, int length) {
    return server.statusOf(COMPLETIONS, " ".repeat(length)) == 400; // not JSON
  }

  private static long refused(List<Socket> sockets) {
    return sockets.stream().filter(GreedyRequestsTest::isAnswered).count();
  }

  private static boolean isAnswered(Socket socket) {
    try {
      return socket.getInputStream().available() > 0;
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The body of a client without a key is not read. */
  @Test
  void keysComeBeforeBodies(@TempDir Path folder) throws Exception {
    Path file = Files.writeString(folder.resolve("keys"), "first\n");
    try (TestServer locked = new TestServer(TestServer.LIMITS, ApiKeys.read(file), () -> {});
        Socket socket = locked.raw(COMPLETIONS, " ".repeat(1 << 19), 200)) {
      String status = new String(socket.getInputStream().readNBytes(12), StandardCharsets.US_ASCII);
      assertEquals("HTTP/1.1 401", status);
    }
  }

  /** A server that does this when it reads the prompt "much". */
  private static TestServer serverThatReads(Runnable much) throws IOException {
    Tokenizer tokenizer =
        (Tokenizer)
            Proxy.newProxyInstance(
                Tokenizer.class.getClassLoader(),
                new Class<?>[] {Tokenizer.class},
                (_, method, arguments) -> {
                  if (method.getName().equals("encode") && arguments[0].equals("much")) {
                    much.run();
                  }
                  return method.invoke(HashEngine.TOKENIZER, arguments);
                });
    return new TestServer(
        tokenizer,
        TestServer.CONTEXT,
        HashEngine.of(TestServer.ENGINE, TestServer.CONTEXT, () -> {}));
  }

  /** Probes are answered while requests take all carrier threads. */
  @Test
  void probesWaitForNoRequest() throws Exception {
    int processors = Runtime.getRuntime().availableProcessors();
    AtomicInteger busy = new AtomicInteger();
    AtomicBoolean over = new AtomicBoolean();
    List<Socket> sockets = new ArrayList<>();
    try (TestServer server =
        serverThatReads(
            () -> {
              busy.incrementAndGet();
              while (!over.get()) {
                Thread.onSpinWait();
              }
            })) {
      try {
        for (int i = 0; i < processors; i++) {
          sockets.add(server.raw(COMPLETIONS, ASKED.replace("'x'", "'much'")));
        }
        TestServer.await(() -> busy.get() == processors);
        for (String probe : List.of("/health", "/livez")) {
          HttpRequest request = server.to(probe).timeout(Duration.ofSeconds(20)).build();
          assertEquals(200, server.send(request).statusCode());
        }
      } finally {
        over.set(true);
        for (Socket socket : sockets) {
          socket.close();
        }
      }
    }
  }

  /** Only the request without memory, whatever its thread was doing. */
  @Test
  void aRequestWithoutMemoryIsRefusedAlone() throws Exception {
    try (TestServer server =
        serverThatReads(
            () -> {
              throw new OutOfMemoryError("Java heap space");
            })) {
      HttpResponse<String> refused = server.post(COMPLETIONS, ASKED.replace("'x'", "'much'"));
      assertEquals(503, refused.statusCode(), refused::body);
      assertEquals(
          "out_of_memory", TestServer.json(refused.body()).at("/error/code").stringValue());
      server.ask(COMPLETIONS, ASKED);
    }
  }

  @Test
  void anEngineWithoutMemoryEndsTheServer() throws Exception {
    AtomicBoolean none = new AtomicBoolean();
    try (TestServer server =
        new TestServer(
            TestServer.LIMITS,
            ApiKeys.NONE,
            () -> {
              if (none.get()) {
                throw new OutOfMemoryError("Java heap space");
              }
            })) {
      none.set(true);
      HttpResponse<String> failed = server.post(COMPLETIONS, ASKED);
      assertEquals(503, failed.statusCode(), failed::body);
      server.server.awaitStop();
      assertTrue(server.engine.failure() instanceof OutOfMemoryError);
    }
  }
}
