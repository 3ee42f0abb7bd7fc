package panamoe.harness.serve.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.harness.serve.TestServer;
import panamoe.io.Sha256;

/** Keys and what they permit, pages of other sites, and the ids of requests. */
@Timeout(60)
class AccessTest {
  private static final String COMPLETIONS = "/v1/completions";
  private static final String FRIEND = "https://chat.example.org";

  @TempDir private Path folder;

  private ApiKeys keys(String... lines) throws IOException {
    return ApiKeys.read(Files.write(folder.resolve("keys"), List.of(lines)));
  }

  private static String hash(String key) {
    byte[] digest = Sha256.digest().digest(key.getBytes(StandardCharsets.UTF_8));
    return "sha256:" + HexFormat.of().formatHex(digest);
  }

  @Test
  void aLineIsAKeyOrItsHashWithSettings() throws Exception {
    ApiKeys keys =
        keys(
            "# who",
            "",
            "  first ",
            hash("second") + " name=batch priority=5 concurrent=1 tokens-per-minute=10");
    assertEquals("key 1", keys.of("Bearer first", null).name());
    assertEquals("batch", keys.of("bearer  second", null).name());
    assertEquals("batch", keys.of(null, "second").name());
    assertEquals(401, assertThrows(ApiError.class, () -> keys.of("Bearer batch", null)).status());
    assertEquals(
        401,
        assertThrows(ApiError.class, () -> keys.of("Bearer " + hash("second"), null)).status());
    assertSame(ApiKey.NONE, ApiKeys.NONE.of(null, null));
    assertEquals(5, keys.of("Bearer second", null).usualPriority());
    assertEquals(
        5, keys.of("Bearer second", null).priorityOf(-3), "no request is before its key's");
    assertEquals(9, keys.of("Bearer second", null).priorityOf(9));
    assertEquals(-3, keys.of("Bearer first", null).priorityOf(-3));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "secret|secret|line 2 has the key of line 1 again",
        "secret|sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
            + "|line 2 has the key of line 1 again",
        "secret name=a|other name=a|line 2 has the name of line 1 again",
        "secret|word other|line 2 has a word after its key that is no setting",
        "secret|word me=other|line 2 has a word after its key that is no setting",
        "secret|word name=|line 2: name is not of up to 64 letters",
        "secret|word concurrent=0|line 2: concurrent is 0, expected 1 to",
        "secret|word priority=99999999999|line 2: priority is 99999999999, expected -1000 to",
        "secret|sha256:12|line 2: after sha256: come 64 hexadecimal digits"
      })
  void aWrongLineIsOneSentenceWithoutItsKey(String first, String second, String why) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> keys(first, second)).getMessage();
    assertTrue(message.contains(why), message);
    assertFalse(message.contains("secret") || message.contains("word,"), message);
  }

  @Test
  void budgetsFillUpWithTime() {
    AtomicLong now = new AtomicLong();
    Quota quota = new Quota(2, 3, 60, now::get);
    for (int i = 0; i < 3; i++) {
      quota.begin(true).close();
    }
    ApiError few = assertThrows(ApiError.class, () -> quota.begin(true));
    assertEquals(429, few.status());
    assertEquals("this key has used its 3 requests a minute", few.getMessage());
    assertEquals("20000", few.headers().get("retry-after-ms"));
    now.addAndGet(TimeUnit.SECONDS.toNanos(20));
    Quota.Share one = quota.begin(true);
    quota.start(90); // the last request may exceed the budget
    ApiError used = assertThrows(ApiError.class, () -> quota.start(1));
    assertEquals("this key has used its 60 tokens a minute", used.getMessage());
    one.close();
    now.addAndGet(TimeUnit.SECONDS.toNanos(20));
    ApiError late = assertThrows(ApiError.class, () -> quota.begin(true));
    assertEquals("this key has used its 60 tokens a minute", late.getMessage());
    assertEquals("11000", late.headers().get("retry-after-ms"));
    now.addAndGet(TimeUnit.SECONDS.toNanos(11));
    Quota.Share a = quota.begin(true);
    now.addAndGet(TimeUnit.MINUTES.toNanos(9));
    Quota.Share b = quota.begin(false);
    assertTrue(
        assertThrows(ApiError.class, () -> quota.begin(true))
            .getMessage()
            .contains("2 requests at a time"));
    a.close();
    quota.begin(true);
    b.close();
  }

  @Test
  void aKeyThatHasUsedItsPartWaitsAndOthersDoNot() throws Exception {
    Semaphore steps = new Semaphore(0);
    ApiKeys keys = keys("small concurrent=1", "token tokens-per-minute=20", "free");
    try (TestServer server =
            new TestServer(TestServer.access(keys), null, null, steps::acquireUninterruptibly);
        ExecutorService threads = Executors.newCachedThreadPool()) {
      Future<HttpResponse<String>> running = threads.submit(() -> ask(server, "small", 3));
      TestServer.await(() -> server.waiting() == 1);
      HttpResponse<String> refused = ask(server, "small", 3);
      HttpRequest models = server.to("/v1/models").header("Authorization", "Bearer small").build();
      assertEquals(429, server.send(models).statusCode(), "also without a body");
      steps.release(10_000);
      assertEquals(429, refused.statusCode(), refused::body);
      assertEquals(
          "rate_limit_exceeded", TestServer.json(refused.body()).at("/error/code").stringValue());
      assertEquals("1", refused.headers().firstValue("Retry-After").orElseThrow());
      assertEquals(200, ask(server, "free", 3).statusCode());
      assertEquals(200, running.get().statusCode());
      assertEquals(200, ask(server, "small", 3).statusCode());
      assertEquals(200, ask(server, "token", 40).statusCode());
      HttpResponse<String> used = ask(server, "token", 1);
      assertEquals(429, used.statusCode(), used::body);
      assertTrue(used.body().contains("this key has used its 20 tokens a minute"), used.body());
      HttpRequest metrics = server.to("/metrics").header("Authorization", "Bearer token").build();
      assertTrue(
          server
              .send(metrics)
              .body()
              .contains("panamoe_admission_rejections_total{reason=\"rate_limit_exceeded\"} 3.0"));
    }
  }

  @Test
  void theCacheTellsNothingOfOtherKeys() throws Exception {
    String prompt = "'prompt':'" + "x".repeat(80) + "','max_tokens':1";
    try (TestServer server =
        new TestServer(
            TestServer.access(keys("one name=one", "two name=two")), null, null, () -> {})) {
      assertEquals(0, cached(server, "one", prompt));
      assertEquals(0, cached(server, "two", prompt));
      assertEquals(0, cached(server, "two", prompt + ",'cache_salt':'one'"));
      assertEquals(0, cached(server, "two", prompt + ",'cache_salt':'x'"));
      assertTrue(cached(server, "one", prompt) > 0);
      assertTrue(cached(server, "two", prompt + ",'cache_salt':'x'") > 0);
    }
  }

  private static int cached(TestServer server, String key, String fields) throws Exception {
    HttpResponse<String> answer = post(server, key, "{" + fields + "}");
    assertEquals(200, answer.statusCode(), answer::body);
    return TestServer.json(answer.body())
        .at("/usage/prompt_tokens_details/cached_tokens")
        .intValue();
  }

  private static HttpResponse<String> ask(TestServer server, String key, int tokens)
      throws IOException, InterruptedException {
    return post(server, key, "{'prompt':'x','ignore_eos':true,'max_tokens':" + tokens + "}");
  }

  private static HttpResponse<String> post(TestServer server, String key, String body)
      throws IOException, InterruptedException {
    return server.send(
        server
            .to(COMPLETIONS)
            .header("Authorization", "Bearer " + key)
            .POST(BodyPublishers.ofString(TestServer.quoted(body)))
            .build());
  }

  private TestServer friendly(ApiKeys keys) throws IOException {
    return new TestServer(
        new Access(keys, new AllowedHosts(List.of()), Set.of(FRIEND)), null, null, () -> {});
  }

  private static HttpRequest.Builder from(TestServer server, String origin) {
    return server.to(COMPLETIONS).header("Origin", origin);
  }

  private static HttpRequest preflight(TestServer server, String origin) {
    return from(server, origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,content-type,x-stainless-os")
        .method("OPTIONS", BodyPublishers.noBody())
        .build();
  }

  private static String allowed(HttpResponse<String> answer) {
    return answer.headers().firstValue("Access-Control-Allow-Origin").orElse("");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void pagesOfNamedSitesMayUseTheServer(boolean locked) throws Exception {
    try (TestServer server = friendly(locked ? keys("key") : ApiKeys.NONE)) {
      HttpResponse<String> asked = server.send(preflight(server, FRIEND));
      assertEquals(200, asked.statusCode());
      assertEquals(FRIEND, allowed(asked));
      Set<String> methods =
          Set.of(asked.headers().firstValue("Access-Control-Allow-Methods").orElse("").split(","));
      assertEquals(Set.of("GET", "HEAD", "POST", "DELETE"), methods);
      Set<String> headers =
          Set.of(asked.headers().firstValue("Access-Control-Allow-Headers").orElse("").split(","));
      assertEquals(Set.of("*", "Authorization"), headers);

      HttpRequest.Builder post =
          from(server, FRIEND).POST(BodyPublishers.ofString("{\"prompt\":\"x\",\"max_tokens\":1}"));
      HttpResponse<String> answer =
          server.send(post.copy().header("Authorization", "Bearer key").build());
      assertEquals(200, answer.statusCode(), answer::body);
      assertEquals(FRIEND, allowed(answer));
      assertEquals("Origin", answer.headers().firstValue("Vary").orElse(""));
      Set<String> exposed =
          Set.of(
              answer.headers().firstValue("Access-Control-Expose-Headers").orElse("").split(","));
      assertEquals(
          Set.of("x-request-id", "request-id", "Retry-After", "retry-after-ms", "x-should-retry"),
          exposed);
      HttpResponse<String> error =
          server.send(from(server, FRIEND).POST(BodyPublishers.ofString("{")).build());
      assertEquals(locked ? 401 : 400, error.statusCode());
      assertEquals(FRIEND, allowed(error), "an error can be read too");

      for (String other :
          List.of("https://example.org", FRIEND + ":8443", "https://chatXexample.org", "null")) {
        assertEquals("", allowed(server.send(preflight(server, other))), other);
        HttpResponse<String> foreign =
            server.send(
                from(server, other)
                    .header("Authorization", "Bearer key")
                    .POST(BodyPublishers.ofString("{\"prompt\":\"x\",\"max_tokens\":1}"))
                    .build());
        assertEquals(locked ? 200 : 403, foreign.statusCode(), other);
        assertEquals("", allowed(foreign), other);
      }
    }
  }

  @Test
  void withoutNamedSitesNoPageIsAnswered() throws Exception {
    try (TestServer server = new TestServer()) {
      assertEquals("", allowed(server.send(preflight(server, FRIEND))));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "https://chat.example.org, true",
    "http://localhost:3000, true",
    "http://[::1]:3000, true",
    "*, false",
    "null, false",
    "chat.example.org, false",
    "https://chat.example.org/, false",
    "https://chat.example.org:443, false",
    "https://Chat.example.org, false",
    "https://me@chat.example.org, false",
    "https://*.example.org, false"
  })
  void originsAreThoseOfBrowsers(String origin, boolean valid) {
    assertEquals(valid, Access.isOrigin(origin));
  }

  @Test
  void everyResponseHasAnId() throws Exception {
    try (TestServer server = new TestServer()) {
      for (String path : List.of("/health", "/", "/none", "/v1/models", COMPLETIONS)) {
        HttpRequest named = server.to(path).header("X-Request-Id", "a-1_b.c:2/d").build();
        assertEquals("a-1_b.c:2/d", id(server.send(named)), path);
        String own = id(server.get(path));
        assertTrue(own.matches("[0-9a-f-]{36}"), own);
      }
      for (String wrong : List.of("a b", "é", "x".repeat(129), "<script>", "\"")) {
        HttpRequest named = server.to("/health").header("X-Request-Id", wrong).build();
        assertTrue(id(server.send(named)).matches("[0-9a-f-]{36}"), wrong);
      }
      HttpResponse<String> stream =
          server.send(
              server
                  .to(COMPLETIONS)
                  .header("X-Request-Id", "mine")
                  .POST(
                      BodyPublishers.ofString(
                          "{\"prompt\":\"x\",\"max_tokens\":2,\"stream\":true}"))
                  .build());
      assertEquals("mine", id(stream));
      try (Socket broken = new Socket("127.0.0.1", server.port())) {
        broken
            .getOutputStream()
            .write("GET /health HTTP/9.9\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        String told = new String(broken.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(told.contains("x-request-id: "), told);
      }
    }
  }

  private static String id(HttpResponse<String> answer) {
    return answer.headers().firstValue("x-request-id").orElse("");
  }
}
