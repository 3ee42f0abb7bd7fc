package panamoe.harness.serve.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.harness.serve.TestServer;

/** Requests that HTTP forbids: each gets an error in OpenAI's form, and smuggles nothing. */
@Timeout(120)
class HttpEdgesTest {
  private static final String POST = "POST /v1/completions HTTP/1.1\\r\\nHost: localhost\\r\\n";
  private static final String GET = "GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\n";
  private static final String BODY = "{\"prompt\":\"x\",\"max_tokens\":1}";
  private static final String NEXT = GET + "\\r\\n";

  private static TestServer server;

  @BeforeAll
  static void start() throws IOException {
    server = new TestServer();
  }

  @AfterAll
  static void close() {
    assertEquals(List.of(), server.log);
    server.close();
  }

  /** Sends a request, and reads until the server closes the connection. */
  private static String answer(String written) throws IOException {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
      OutputStream out = socket.getOutputStream();
      out.write(bytes(written));
      socket.shutdownOutput();
      return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static byte[] bytes(String written) {
    return written
        .replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\\0", "\0")
        .replace("\\v", "\u000b")
        .getBytes(StandardCharsets.ISO_8859_1);
  }

  private static void requireRefused(int status, String answer) {
    assertTrue(answer.startsWith("HTTP/1.1 " + status + " "), answer);
    assertEquals(1, answer.split("HTTP/1.1 ", -1).length - 1, answer); // nothing was smuggled
    assertTrue(answer.contains("\r\nContent-Type: application/json\r\n"), answer);
    assertTrue(answer.contains("{\"error\":{\"message\":\""), answer);
    assertFalse(
        answer.contains("Server:") || answer.toLowerCase(Locale.ROOT).contains("jetty"), answer);
  }

  @ParameterizedTest
  @CsvSource({
    "10000001d",
    "ffffffff",
    "80000000",
    "1000000000000001d",
    "-1",
    "+1d",
    "0x1d",
    "' 1d'",
    "''",
    "g"
  })
  void aChunkThatIsNone(String size) throws Exception {
    String chunks = "Transfer-Encoding: chunked\\r\\n\\r\\n" + size + "\\r\\n" + BODY;
    requireRefused(400, answer(POST + chunks + "\\r\\n0\\r\\n\\r\\n" + NEXT));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "400 | Content-Length: +5",
        "400 | Content-Length: -5",
        "400 | Content-Length: 5, 5",
        "400 | Content-Length: 5\\r\\nContent-Length: 6",
        "400 | Content-Length: 99999999999999999999",
        "400 | Content-Length: 5\\r\\nTransfer-Encoding: chunked",
        "400 | Transfer-Encoding: \\vchunked",
        "400 | Transfer-Encoding: xchunked",
        "400 | Transfer-Encoding: chunked, gzip",
        "501 | Transfer-Encoding: gzip, chunked",
        "501 | Transfer-Encoding: x\\r\\nTransfer-Encoding: chunked",
        "400 | X-Folded: a\\r\\n b",
        "400 | X-Space : a",
        "400 | X-Nul: a\\0b",
        "400 | X-Control: a\\vb",
        "400 | X-Return: a\\rb",
        "400 | X(Name: a",
        "400 | Host: localhost",
        "400 | Host: other",
        "417 | Expect: a miracle",
      })
  void aHeadThatIsNone(int status, String line) throws Exception {
    requireRefused(status, answer(POST + line + "\\r\\n\\r\\nhello" + NEXT));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "505 | GET /livez HTTP/9.9\\r\\nHost: localhost",
        "505 | GET /livez",
        "426 | PRI * HTTP/2.0",
        "400 | GET /livez HTTP/1.1",
        "400 | GET /livez HTTP/1.1\\r\\nHost: a b",
        "400 | GET /livez HTTP/1.1\\nHost: localhost\\n",
        "400 | GET http://other/livez HTTP/1.1\\r\\nHost: localhost",
        "400 | GET /%zz HTTP/1.1\\r\\nHost: localhost",
        "400 | GET /live%00z HTTP/1.1\\r\\nHost: localhost",
        "400 | GET /page/%2e%2e/livez HTTP/1.1\\r\\nHost: localhost",
        "400 | GET /v1%2Fmodels HTTP/1.1\\r\\nHost: localhost",
        "400 | GET /v1/models/../../v1%2Fmodels HTTP/1.1\\r\\nHost: localhost",
        "404 | GET /v1/models/hf%2Fother HTTP/1.1\\r\\nHost: localhost",
        "404 | OPTIONS * HTTP/1.1\\r\\nHost: localhost",
        "405 | TRACE /livez HTTP/1.1\\r\\nHost: localhost",
        "405 | CONNECT localhost:80 HTTP/1.1\\r\\nHost: localhost:80",
        "400 | GET /v1/models HTTP/1.1\\r\\nHost: a:99999999",
        "400 | GET /v1/models HTTP/1.1\\r\\nHost: [::1",
      })
  void aLineThatIsNone(int status, String head) throws Exception {
    requireRefused(status, answer(head + "\\r\\n\\r\\n"));
  }

  @Test
  void aHeadAboveTheLimits() throws Exception {
    requireRefused(414, answer("GET /" + "a".repeat(65 << 10) + " HTTP/1.1\\r\\n\\r\\n"));
    requireRefused(431, answer(GET + "X: " + "a".repeat(65 << 10) + "\\r\\n\\r\\n"));
    requireRefused(431, answer(GET + "X: y\\r\\n".repeat(100) + "\\r\\n"));
    assertTrue(answer(GET + "X: y\\r\\n".repeat(99) + "\\r\\n").startsWith("HTTP/1.1 200 "));
  }

  /** Headers beyond the limit are not kept until the head ends. */
  @Test
  void headersAreCountedAsTheyArrive() throws Exception {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
      socket.getOutputStream().write(bytes(GET + "X: y\\r\\n".repeat(101)));
      requireRefused(
          431, new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  /** A client that sends everything before it reads gets the response too. */
  @Test
  void aBodyOf64MebibytesIsAnswered() throws Exception {
    int length = 64 << 20;
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
      OutputStream out = socket.getOutputStream();
      out.write(bytes(POST + "Content-Length: " + length + "\\r\\n\\r\\n"));
      byte[] part = new byte[1 << 20];
      for (int sent = 0; sent < length; sent += part.length) {
        out.write(part);
      }
      out.write(bytes(GET + "Connection: close\\r\\n\\r\\n")); // on the same connection
      String answers = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(answers.startsWith("HTTP/1.1 413 "), answers);
      assertTrue(answers.contains("HTTP/1.1 200 "), answers);
    }
  }

  @Test
  void aBodyThatIsTooLargeIsNotAskedFor() throws Exception {
    String head = POST + "Expect: 100-continue\\r\\nContent-Length: ";
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
      socket.getOutputStream().write(bytes(head + (64 << 20) + "\\r\\n\\r\\n"));
      requireRefused(
          413, new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    }
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
      String last = "\\r\\nConnection: close\\r\\n\\r\\n";
      socket.getOutputStream().write(bytes(head + BODY.length() + last));
      InputStream in = socket.getInputStream();
      assertTrue(new String(in.readNBytes(12), StandardCharsets.US_ASCII).endsWith(" 100"));
      socket.getOutputStream().write(bytes(BODY));
      String answers = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      assertTrue(answers.contains("HTTP/1.1 200 "), answers);
    }
  }

  /** A slow request has no more time than another one, even if bytes arrive. */
  @Test
  void aRequestThatIsLateIsClosed() throws Exception {
    for (String written : List.of("", GET, POST + "Content-Length: 9\\r\\n\\r\\n{")) {
      try (HttpListener listener =
              new HttpListener(
                  new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
                  null,
                  TestServer.LIMITS.http(),
                  Set.of(),
                  _ -> {},
                  _ -> {});
          Socket socket = new Socket(InetAddress.getLoopbackAddress(), listener.port())) {
        socket.getOutputStream().write(bytes(written));
        TestServer.await(() -> listener.arrivals().size() == 1);
        long soon = System.nanoTime() + RequestDeadlines.REQUEST.minusSeconds(5).toNanos();
        listener.arrivals().closeLate(soon);
        assertEquals(1, listener.arrivals().size());
        listener.arrivals().closeLate(System.nanoTime() + RequestDeadlines.REQUEST.toNanos());
        assertEquals(0, socket.getInputStream().readAllBytes().length);
        TestServer.await(() -> listener.arrivals().size() == 0);
      }
    }
  }

  @Test
  void namesOfOtherSitesAreNotThisServers() throws Exception {
    int port = server.port();
    for (String name :
        List.of("evil.example", "localhost.evil.example", "192.0.2.1", "[2001:db8::1]")) {
      String at = name + ":" + port;
      String head = "Host: " + at + "\\r\\nOrigin: http://" + at + "\\r\\n\\r\\n";
      String refused = answer("GET /v1/models HTTP/1.1\\r\\n" + head);
      requireRefused(403, refused);
      assertTrue(
          refused.contains("\"foreign_host\"") && refused.contains("--allowed-host"), refused);
      requireRefused(403, answer("GET / HTTP/1.1\\r\\n" + head));
      assertTrue(answer("GET /livez HTTP/1.1\\r\\n" + head).startsWith("HTTP/1.1 200 "));
    }
    for (String name :
        List.of(
            "localhost",
            "LOCALHOST",
            "a.localhost",
            "127.0.0.1",
            "127.8.0.1",
            "[::1]",
            "localhost.")) {
      String head = "GET /v1/models HTTP/1.1\\r\\nHost: " + name + ":" + port + "\\r\\n\\r\\n";
      assertTrue(answer(head).startsWith("HTTP/1.1 200 "), name);
    }
  }

  @Test
  void whichNamesAreAllowed() throws Exception {
    for (String name : List.of("box", "http://Box:8080/", "[::1]:80", "a_b.example.")) {
      assertTrue(AllowedHosts.isName(name), name);
    }
    for (String name : List.of("*", "", "b x", "box/path", "*.box")) {
      assertFalse(AllowedHosts.isName(name), name);
    }
    InetAddress bound = InetAddress.getByName("192.0.2.7");
    AllowedHosts hosts =
        new AllowedHosts(List.of("http://Writer.example.:8080/", "box", "fd00::7"));
    for (String host :
        Arrays.asList(
            null,
            "writer.EXAMPLE",
            "writer.example:80",
            "box.:1",
            "[fd00::7]:80",
            "192.0.2.7:8080")) {
      hosts.require(host, bound);
    }
    for (String host : List.of("192.0.2.8", "example", "xbox", "box.example", "")) {
      try {
        hosts.require(host, bound);
        throw new AssertionError(host + " was allowed");
      } catch (ApiError e) {
        assertEquals(403, e.status());
      }
    }
  }
}
