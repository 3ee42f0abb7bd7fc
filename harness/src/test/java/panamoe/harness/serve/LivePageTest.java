package panamoe.harness.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.serve.http.ApiKeys;

@Timeout(120)
class LivePageTest {
  private static final Map<String, String> TYPES =
      Map.of(
          "/", "text/html; charset=utf-8",
          "svg", "image/svg+xml",
          "css", "text/css; charset=utf-8",
          "js", "text/javascript; charset=utf-8");
  private static final String KEY = "sesame";

  /** The library that reads Markdown: addresses in it are those of its authors, and patterns. */
  private static final String MARKED = "/page/marked.esm.js";

  private static TestServer server;

  @BeforeAll
  static void start(@TempDir Path folder) throws IOException {
    Path keys = Files.writeString(folder.resolve("keys"), KEY);
    server = new TestServer(TestServer.LIMITS, ApiKeys.read(keys), () -> {});
  }

  @AfterAll
  static void close() {
    server.close();
  }

  private static String file(String path) throws IOException, InterruptedException {
    HttpResponse<String> answer = server.get(path);
    assertEquals(200, answer.statusCode(), path);
    Map<String, String> headers =
        answer.headers().map().entrySet().stream()
            .collect(
                Collectors.toMap(
                    entry -> entry.getKey().toLowerCase(), entry -> entry.getValue().getFirst()));
    assertEquals(TYPES.get(path.substring(path.lastIndexOf('.') + 1)), headers.get("content-type"));
    assertEquals("nosniff", headers.get("x-content-type-options"));
    assertEquals("no-cache", headers.get("cache-control"));
    String policy = headers.get("content-security-policy");
    assertTrue(policy.startsWith("default-src 'self';"), policy);
    assertFalse(policy.contains("unsafe"), policy);
    return answer.body();
  }

  /** The references of a file, as paths of the server. */
  private static Set<String> references(String path, String text) {
    String pattern =
        path.endsWith(".js") ? "(?:from|import) '([^']*)'" : "(?:href|src|url\\()=?[\"']([^\"']*)";
    String folder = path.equals("/") ? "/" : "/page/";
    return Pattern.compile(pattern)
        .matcher(text)
        .results()
        .map((MatchResult found) -> folder + found.group(1).replaceFirst("^\\./", ""))
        .collect(Collectors.toSet());
  }

  @Test
  void everyFileIsServedWithoutAKeyAndNamesOnlyFilesOfThePage() throws Exception {
    Set<String> seen = new HashSet<>();
    Set<String> open = new TreeSet<>(Set.of("/"));
    while (!open.isEmpty()) {
      String path = open.iterator().next();
      String text = file(path);
      seen.add(path);
      open.addAll(references(path, text));
      open.removeAll(seen);
      String addresses = text.replace("http://www.w3.org/2000/svg", "");
      assertTrue(
          path.equals(MARKED) || !addresses.matches("(?s).*(https?:|[\"'(]//).*"),
          path + " names an address");
    }
    assertEquals(new LivePage().paths(), seen);
  }

  @Test
  void theFilesOfTheFolderAreTheServedOnes() throws Exception {
    Set<String> paths = new HashSet<>(Set.of(MARKED));
    for (String one : Set.of("page/index.html", "/panamoe/harness/page/page.css")) {
      try (Stream<Path> files =
          Files.list(Path.of(LivePage.class.getResource(one).toURI()).getParent())) {
        files
            .map(file -> file.getFileName().toString())
            .map(name -> name.equals("index.html") ? "/" : "/page/" + name)
            .forEach(paths::add);
      }
    }
    assertEquals(new LivePage().paths(), paths);
  }

  @Test
  void nothingIsInline() throws Exception {
    String page = file("/");
    assertFalse(page.contains("<style") || page.contains("style="), "a style");
    assertFalse(page.matches("(?s).*\\son[a-z]+=.*"), "a handler");
    for (String path : new LivePage().paths()) {
      String text = file(path);
      for (String sink : Set.of("innerHTML", "outerHTML", "insertAdjacent", "document.write")) {
        assertFalse(text.contains(sink), path + " has " + sink);
      }
    }
  }

  @Test
  void otherPathsAreNotThePage() throws Exception {
    for (String path :
        Set.of("/page/", "/page/Page.class", "/page/../LivePage.class", "/index.html")) {
      assertEquals(401, server.get(path).statusCode(), path);
      HttpResponse<String> withKey =
          server.send(server.to(path).header("Authorization", "Bearer " + KEY).build());
      assertEquals(404, withKey.statusCode(), path);
    }
    HttpResponse<String> post = server.post("/", "{}");
    assertEquals(405, post.statusCode());
    assertEquals(401, server.get("/v1/models").statusCode());
  }
}
