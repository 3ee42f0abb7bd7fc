package panamoe.harness.serve;

import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import panamoe.harness.serve.http.HttpExchange;
import panamoe.io.Words;

/**
 * The live page: files in this jar, for browsers. They need no key, because they contain nothing of
 * the model; their requests do. Thread-safe.
 */
final class LivePage {
  private static final List<String> FILES =
      List.of(
          """
          index.html icon.svg answer.css style.css api.js conversation.js copy.js experts-panel.js
          heat-map.js history.js key.js main.js markdown.js retry.js server.js speech.js table.js
          written-text.js"""
              .split("\\s+"));

  /** Files that a run's report has too. */
  private static final List<String> SHARED =
      List.of(
          """
          colours.css page.css colours.js cursor.js legend.js numbers.js tip.js token-text.js"""
              .split("\\s+"));

  /** The library that reads Markdown; its WebJar has the version in the path. */
  private static final String MARKED = "marked.esm.js";

  private static final Map<String, String> TYPES =
      Map.of(
          "html", "text/html; charset=utf-8",
          "svg", "image/svg+xml",
          "css", "text/css; charset=utf-8",
          "js", "text/javascript; charset=utf-8");

  /** A browser loads from this server only, and runs no other scripts. */
  private static final Map<String, String> HEADERS =
      Map.of(
          "Content-Security-Policy",
          "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
          "X-Content-Type-Options",
          "nosniff",
          "Referrer-Policy",
          "no-referrer",
          "Cache-Control",
          "no-cache"); // a newer version of the server has other files

  private record File(String type, byte[] bytes) {}

  private final Map<String, File> files = new HashMap<>();

  LivePage() throws IOException {
    for (String name : FILES) {
      add(name, "page/" + name);
    }
    for (String name : SHARED) {
      add(name, "/panamoe/harness/page/" + name);
    }
    Properties marked = new Properties();
    try (InputStream stream =
        LivePage.class.getResourceAsStream(
            "/META-INF/maven/org.webjars.npm/marked/pom.properties")) {
      marked.load(stream);
    }
    add(
        MARKED,
        Words.of(
            "/META-INF/resources/webjars/marked/%s/lib/%s", marked.getProperty("version"), MARKED));
  }

  private void add(String name, String resource) throws IOException {
    try (InputStream stream = LivePage.class.getResourceAsStream(resource)) {
      files.put(
          name.equals("index.html") ? "/" : "/page/" + name,
          new File(TYPES.get(name.substring(name.lastIndexOf('.') + 1)), stream.readAllBytes()));
    }
  }

  Set<String> paths() {
    return files.keySet();
  }

  /** Sends the file of the request's path, one of {@link #paths}. */
  void respond(HttpExchange call) throws IOException {
    File file = files.get(call.path());
    call.respond(file.type(), file.bytes(), HEADERS);
  }
}
