package panamoe.lab.load;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import panamoe.io.Words;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Sends completion requests to an OpenAI-compatible server and times the streamed chunks.
 * Thread-safe.
 */
final class LoadClient implements AutoCloseable {
  private static final JsonMapper JSON = JsonMapper.shared();
  private static final Duration PATIENCE = Duration.ofMinutes(5);

  private final HttpClient client =
      HttpClient.newBuilder()
          .version(HttpClient.Version.HTTP_1_1)
          .connectTimeout(Duration.ofSeconds(10))
          .build();
  private final URI base;
  private final Duration patience;
  private final Model model;

  /**
   * A served model.
   *
   * @param context tokens of prompt and completion together; 0 if the server does not report it
   */
  record Model(String id, int context) {}

  /**
   * @param base {@code http://host:port}, with or without {@code /v1}
   * @throws IOException if no server answers, or it serves no model
   */
  LoadClient(String base) throws IOException, InterruptedException {
    this(base, PATIENCE);
  }

  /**
   * @param patience time without a byte after which a request fails
   */
  LoadClient(String base, Duration patience) throws IOException, InterruptedException {
    this.patience = patience;
    this.base = URI.create(base.replaceAll("(/v1)?/*$", "/"));
    JsonNode models;
    try {
      models = json(text(request("v1/models").build()));
    } catch (ConnectException e) {
      throw new IOException("no server answers at " + this.base, e);
    }
    JsonNode first = models.path("data").path(0);
    if (!first.hasNonNull("id")) {
      throw new IOException(this.base + "v1/models names no model");
    }
    this.model = new Model(first.get("id").asString(""), first.path("max_model_len").asInt(0));
  }

  Model model() {
    return model;
  }

  /** Mean letters per token of {@code text}; 4 if the server does not report tokens. */
  double lettersPerToken(String text) throws InterruptedException {
    ObjectNode body = JSON.createObjectNode().put("prompt", text);
    try {
      int tokens = json(text(post("tokenize", body))).path("tokens").size();
      return tokens == 0 ? 4 : (double) text.length() / tokens;
    } catch (IOException e) {
      return 4;
    }
  }

  private String text(HttpRequest request) throws IOException, InterruptedException {
    HttpResponse<InputStream> answer = client.send(request, BodyHandlers.ofInputStream());
    try (InputStream body = new TimeoutStream(answer.body(), patience)) {
      String text = new String(body.readAllBytes(), StandardCharsets.UTF_8);
      if (answer.statusCode() != 200) {
        throw new IOException(request.uri() + " answers with status " + answer.statusCode());
      }
      return text;
    }
  }

  /**
   * Sends a request and waits for the end of its stream.
   *
   * @param due scheduled time of the request by {@link System#nanoTime}. Times count from it, so
   *     that a late client does not hide a user's wait (coordinated omission)
   */
  RequestResult ask(RequestMix.Asked asked, long due) throws InterruptedException {
    ObjectNode body =
        JSON.createObjectNode()
            .put("model", model.id())
            .put("prompt", asked.prompt())
            .put("max_tokens", asked.tokens())
            .put("ignore_eos", true)
            .put("stream", true);
    body.putObject("stream_options").put("include_usage", true);
    try {
      HttpResponse<InputStream> answer =
          client.send(post("v1/completions", body), BodyHandlers.ofInputStream());
      try (InputStream stream = new TimeoutStream(answer.body(), patience)) {
        return switch (answer.statusCode()) {
          case 200 -> read(stream, due);
          case 429, 503 -> RequestResult.without(RequestResult.Kind.REFUSED, why(answer, stream));
          default -> RequestResult.without(RequestResult.Kind.FAILED, why(answer, stream));
        };
      }
    } catch (IOException e) {
      return RequestResult.without(RequestResult.Kind.FAILED, e.toString());
    }
  }

  private static JsonNode json(String text) throws IOException {
    try {
      return JSON.readTree(text);
    } catch (JacksonException e) {
      throw new IOException("the server answered what is not JSON: " + text, e);
    }
  }

  private static String why(HttpResponse<?> answer, InputStream body) throws IOException {
    String text = new String(body.readAllBytes(), StandardCharsets.UTF_8);
    return Words.of(
        "status %s: %s", answer.statusCode(), text.substring(0, Math.min(1000, text.length())));
  }

  /**
   * Reads to the stream's end. Closing it at {@code [DONE]} would close the connection, which
   * Java's client may already reuse.
   */
  private static RequestResult read(InputStream stream, long due) throws IOException {
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8));
    long[] between = new long[64];
    long first = 0;
    long before = 0;
    int pieces = 0;
    int tokens = 0;
    boolean whole = false;
    String error = null;
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      long now = System.nanoTime();
      if (line.equals("data: [DONE]")) {
        whole = true;
      }
      if (whole || error != null || !line.startsWith("data: ")) {
        continue;
      }
      JsonNode event = json(line.substring("data: ".length()));
      if (event.has("error")) {
        error = event.get("error").toString();
        continue;
      }
      tokens = event.path("usage").path("completion_tokens").asInt(tokens);
      if (event.path("choices").path(0).path("text").asString("").isEmpty()) {
        continue;
      }
      if (pieces == 0) {
        first = now;
      } else {
        if (pieces > between.length) {
          between = Arrays.copyOf(between, 2 * between.length);
        }
        between[pieces - 1] = now - before;
      }
      before = now;
      pieces++;
    }
    if (pieces == 0) { // a completion without a text
      first = System.nanoTime();
      before = first;
    }
    if (error == null && !whole) {
      error = "the stream ended without [DONE]";
    }
    if (error != null) {
      return RequestResult.without(RequestResult.Kind.FAILED, error);
    }
    return new RequestResult(
        RequestResult.Kind.DONE,
        first - due,
        before - due,
        pieces,
        tokens,
        Arrays.copyOf(between, Math.max(0, pieces - 1)),
        null);
  }

  private HttpRequest post(String path, ObjectNode body) throws IOException {
    return request(path)
        .header("Content-Type", "application/json")
        .POST(HttpRequest.BodyPublishers.ofByteArray(JSON.writeValueAsBytes(body)))
        .build();
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(base.resolve(path)).timeout(patience);
  }

  @Override
  public void close() {
    client.shutdownNow();
  }
}
