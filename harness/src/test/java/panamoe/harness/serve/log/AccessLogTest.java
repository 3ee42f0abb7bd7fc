package panamoe.harness.serve.log;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.serve.TestServer;
import panamoe.harness.serve.http.ApiKeys;
import tools.jackson.databind.JsonNode;

@Timeout(60)
class AccessLogTest {
  private static final String COMPLETIONS = "/v1/completions";

  @TempDir private Path folder;

  private TestServer server(Path log, String... keys) throws IOException {
    Path file = Files.write(folder.resolve("keys"), List.of(keys));
    ApiKeys read = keys.length == 0 ? ApiKeys.NONE : ApiKeys.read(file);
    return new TestServer(TestServer.access(read), null, log, () -> TestServer.pause(1));
  }

  private static List<String> lines(Path log) {
    try {
      return Files.readAllLines(log);
    } catch (IOException e) {
      return List.of();
    }
  }

  private static JsonNode line(Path log, int number) throws Exception {
    TestServer.await(() -> lines(log).size() > number);
    return TestServer.json(lines(log).get(number));
  }

  @Test
  void aLineSaysWhoAskedForWhatAndHowLongItTook() throws Exception {
    Path log = folder.resolve("access.jsonl");
    try (TestServer server = server(log, "secret name=writer")) {
      Instant before = Instant.now().minusMillis(1);
      HttpRequest request =
          server
              .to(COMPLETIONS)
              .header("Authorization", "Bearer secret")
              .header("X-Request-Id", "mine")
              .POST(
                  BodyPublishers.ofString(
                      TestServer.quoted(
                          "{'prompt':'private','max_tokens':5,'n':2,'ignore_eos':true}")))
              .build();
      int length = server.send(request).body().getBytes(StandardCharsets.UTF_8).length;
      JsonNode line = line(log, 0);
      assertTrue(Instant.parse(line.get("time").stringValue()).isAfter(before));
      assertEquals("mine", line.get("id").stringValue());
      assertEquals("writer", line.get("key").stringValue());
      assertEquals("POST", line.get("method").stringValue());
      assertEquals(COMPLETIONS, line.get("route").stringValue());
      assertEquals(200, line.get("status").intValue());
      assertEquals(length, line.get("bytes").intValue());
      assertEquals(7, line.get("prompt_tokens").intValue());
      assertEquals(10, line.get("completion_tokens").intValue());
      double queued = line.get("queue_ms").doubleValue();
      double first = line.get("first_token_ms").doubleValue();
      assertTrue(queued > 0 && queued < first, line::toString);
      assertTrue(first < line.get("total_ms").doubleValue(), line::toString);
      assertFalse(line.has("cut"), line::toString);

      server.get("/v1/models/private?private");
      JsonNode unknown = line(log, 1);
      assertEquals("/v1/models/ID", unknown.get("route").stringValue());
      assertEquals(401, unknown.get("status").intValue());
      assertFalse(unknown.has("key") || unknown.has("prompt_tokens"), unknown::toString);
      server.get("/private");
      assertEquals("other", line(log, 2).get("route").stringValue());
      try (Socket broken = new Socket("127.0.0.1", server.port())) {
        broken.getOutputStream().write("private\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        broken.getInputStream().readAllBytes();
      }
      assertEquals(400, line(log, 3).get("status").intValue());
      String all = Files.readString(log);
      assertFalse(all.contains("private") || all.contains("secret"), all);
      assertTrue(PosixFilePermissions.toString(Files.getPosixFilePermissions(log)).endsWith("---"));
    }
  }

  @Test
  void whoLeavesIsCut() throws Exception {
    Path log = folder.resolve("access.jsonl");
    try (TestServer server = server(log)) {
      Socket leaving =
          server.raw(
              COMPLETIONS, "{'prompt':'x','max_tokens':390,'ignore_eos':true,'stream':true}");
      leaving.getInputStream().readNBytes(500);
      leaving.close();
      JsonNode line = line(log, 0);
      assertTrue(line.get("cut").booleanValue(), line::toString);
      assertEquals(1, line.get("prompt_tokens").intValue());
      assertTrue(line.get("completion_tokens").intValue() < 390, line::toString);
    }
  }

  @Test
  void theFileMayBeRenamedOrTruncated() throws Exception {
    Path log = folder.resolve("access.jsonl");
    try (TestServer server = server(log)) {
      server.get("/health");
      line(log, 0);
      Files.move(log, folder.resolve("access.1"));
      server.get("/livez");
      assertEquals("/livez", line(log, 0).get("route").stringValue());
      Files.write(log, new byte[0]);
      server.get("/v1/models");
      assertEquals("/v1/models", line(log, 0).get("route").stringValue());
      assertEquals(1, lines(folder.resolve("access.1")).size());
    }
  }

  @Test
  void aFullDiskStopsNoRequest() throws Exception {
    try (TestServer server = server(Path.of("/dev/full"))) {
      assertEquals(200, server.get("/health").statusCode());
      TestServer.await(() -> !server.log.isEmpty());
      assertTrue(
          server.log.getFirst().startsWith("warning: could not log 1 request: /dev/full: No space"),
          server.log::toString);
      assertTrue(server.get("/metrics").body().contains("panamoe_access_log_failures_total 1.0"));
    }
  }

  @Test
  void aFileThatCannotBeWrittenIsRefused() {
    assertThrows(IOException.class, () -> server(folder.resolve("none/access.jsonl")).close());
  }

  @Test
  void requestsAreCountedByRouteAndStatus() throws Exception {
    try (TestServer server = new TestServer()) {
      server.get("/v1/models/none");
      server.get("/v1/models/other");
      server.get("/v1/responses/resp_none");
      server.get("/wp-admin");
      server.ask(COMPLETIONS, "{'prompt':'x','max_tokens':1}");
      TestServer.await(() -> scrape(server).contains(count("/v1/completions", 200, 1)));
      String scraped = scrape(server);
      assertTrue(scraped.contains(count("/v1/models/ID", 404, 2)), scraped);
      assertTrue(scraped.contains(count("/v1/responses/ID", 404, 1)), scraped);
      assertTrue(scraped.contains(count("other", 404, 1)), scraped);
    }
  }

  private static String count(String route, int status, int count) {
    return "panamoe_http_requests_total{route=\"%s\",status=\"%d\"} %d.0\n"
        .formatted(route, status, count);
  }

  private static String scrape(TestServer server) {
    try {
      return server.get("/metrics").body();
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
