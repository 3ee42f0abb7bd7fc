package panamoe.open.hub;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLException;
import panamoe.checkpoint.CheckpointException;
import panamoe.io.JarVersion;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;

/**
 * Requests about one model. The token goes to the hub's own host only, also after a redirection.
 * Used by one thread.
 */
final class HubClient implements AutoCloseable {
  private static final Duration TO_CONNECT = Duration.ofSeconds(15);
  private static final int MOST_REDIRECTIONS = 10;
  private static final int MOST_JSON = 64 << 20;
  private static final Pattern RANGE = Pattern.compile("bytes (\\d{1,18})-\\d{1,18}/(\\d{1,18})");

  /**
   * How long it waits.
   *
   * @param stall for an answer, or for more of it
   */
  record Waiting(Duration stall, Tries.Pause pause) {
    static final Waiting USUAL = new Waiting(Duration.ofSeconds(60), Thread::sleep);
  }

  /**
   * A part of a file, to its end.
   *
   * @param from its first byte in the file
   * @param size of the whole file; -1 if it is unknown
   */
  record Part(StalledStream in, long from, long size) implements AutoCloseable {
    /** Reads some bytes into an empty buffer with an array; false if no more come. */
    boolean read(ByteBuffer into) {
      try {
        into.position(Math.max(0, in.read(into.array())));
        return into.position() > 0;
      } catch (IOException _) {
        return false; // the connection was cut
      }
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }

  private final HubSettings settings;
  private final ModelName name;
  private final Waiting waiting;
  private final Consumer<String> notes;
  private final HttpClient http;

  /**
   * @param notes receive a sentence before a long wait
   */
  HubClient(HubSettings settings, ModelName name, Waiting waiting, Consumer<String> notes) {
    this.settings = settings;
    this.name = name;
    this.waiting = waiting;
    this.notes = notes;
    this.http =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1) // a cut connection ends one answer
            .followRedirects(HttpClient.Redirect.NEVER) // the client would keep the token
            .connectTimeout(TO_CONNECT)
            .proxy(settings.proxies())
            .build();
  }

  @Override
  public void close() {
    http.shutdownNow();
  }

  Tries tries() {
    return new Tries(settings.host(), waiting.pause(), notes);
  }

  /**
   * Asks for the commit of the model's revision and its files.
   *
   * @throws CheckpointException if the hub has no such model, does not give it, or cannot be
   *     reached
   */
  Listing listing() {
    String path =
        "/api/models/"
            + name.repository()
            + "/revision/"
            + encoded(name.revision())
            + "?blobs=true";
    URI uri = URI.create(settings.endpoint() + path);
    Tries tries = tries();
    while (true) {
      try (Part part = open(uri, 0)) {
        return Listing.ofHub(StrictJson.tree(bytes(part)), settings.host());
      } catch (JacksonException e) {
        throw new CheckpointException(
            settings.host() + " does not answer in JSON: " + StrictJson.reason(e), e);
      } catch (IOException e) {
        tries.failed(e);
      }
    }
  }

  private byte[] bytes(Part part) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    byte[] buffer = new byte[1 << 16];
    for (int read; (read = part.in().read(buffer)) >= 0; ) {
      all.write(buffer, 0, read);
      if (all.size() > MOST_JSON) {
        throw new CheckpointException(
            "%s answers with more than %s bytes of JSON", settings.host(), MOST_JSON);
      }
    }
    return all.toByteArray();
  }

  /**
   * Asks for a file from a byte to its end; the server may begin at 0 instead.
   *
   * @throws CheckpointException if it does not give it
   */
  Part open(String commit, String file, long from, Tries tries) {
    StringBuilder url = new StringBuilder(settings.endpoint().toString());
    url.append('/').append(name.repository()).append("/resolve/").append(commit);
    for (String part : file.split("/")) {
      url.append('/').append(encoded(part));
    }
    while (true) {
      try {
        return open(URI.create(url.toString()), from);
      } catch (IOException e) {
        tries.failed(e);
      }
    }
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, UTF_8).replace("+", "%20");
  }

  private Part open(URI first, long from) throws IOException {
    URI uri = first;
    for (int i = 0; i <= MOST_REDIRECTIONS; i++) {
      HttpResponse<InputStream> response = send(uri, from);
      int status = response.statusCode();
      if (status == 200 || status == 206) {
        return part(response);
      }
      response.body().close();
      if (status < 300 || status >= 400) {
        throw refused(response);
      }
      URI next = target(uri, response.headers().firstValue("Location").orElse(""));
      if (!"https".equals(next.getScheme()) && !uri.getScheme().equals(next.getScheme())) {
        throw new CheckpointException(
            "%s leads to a URL of %s, which is not fetched", settings.host(), next.getScheme());
      }
      uri = next;
    }
    throw new CheckpointException("%s leads from one URL to another for ever", settings.host());
  }

  private URI target(URI from, String location) {
    try {
      return from.resolve(location);
    } catch (IllegalArgumentException e) {
      throw new CheckpointException(settings.host() + " leads to what is no URL", e);
    }
  }

  private HttpResponse<InputStream> send(URI uri, long from) throws IOException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(uri)
            .setHeader("User-Agent", "panamoe/" + JarVersion.orDevelopment(HubClient.class))
            .setHeader("Accept-Encoding", "identity");
    if (from > 0) {
      request.setHeader("Range", "bytes=" + from + "-");
    }
    if (settings.token() != null && own(uri)) {
      request.setHeader("Authorization", "Bearer " + settings.token());
    }
    CompletableFuture<HttpResponse<InputStream>> answer =
        http.sendAsync(request.build(), BodyHandlers.ofInputStream());
    try {
      return answer.get(waiting.stall().toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw switch (e.getCause()) {
        case ConnectException failure -> failure;
        case HttpConnectTimeoutException failure -> failure;
        case SSLException failure -> failure;
        default -> new IOException("the connection was cut", e.getCause());
      };
    } catch (TimeoutException e) {
      throw new IOException("it does not answer", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException();
    } finally {
      answer.cancel(true);
    }
  }

  /** Whether a URL is of the hub itself. */
  private boolean own(URI uri) {
    URI hub = settings.endpoint();
    return hub.getScheme().equals(uri.getScheme())
        && hub.getAuthority().equalsIgnoreCase(uri.getAuthority());
  }

  private Part part(HttpResponse<InputStream> response) throws IOException {
    StalledStream in = new StalledStream(response.body(), waiting.stall());
    if (response.statusCode() == 200) {
      return new Part(in, 0, response.headers().firstValueAsLong("Content-Length").orElse(-1));
    }
    Matcher range = RANGE.matcher(response.headers().firstValue("Content-Range").orElse(""));
    if (!range.matches()) {
      in.close();
      throw new CheckpointException("%s answers with an unknown part of a file", settings.host());
    }
    return new Part(in, Long.parseLong(range.group(1)), Long.parseLong(range.group(2)));
  }

  /** The refusal in words, or an exception that means another try. */
  private CheckpointException refused(HttpResponse<?> response) throws Tries.Later {
    int status = response.statusCode();
    String code = response.headers().firstValue("X-Error-Code").orElse("");
    if (status == 429 || status == 408 || status >= 500) {
      String words =
          status == 429
              ? "too many requests"
                  + (settings.token() == null ? "; a token in HF_TOKEN allows more" : "")
              : "status " + status;
      throw new Tries.Later(words, response.headers());
    }
    String page = settings.endpoint() + "/" + name.repository();
    if (status == 403 || code.equals("GatedRepo")) {
      return new CheckpointException(
          settings.token() == null
              ? "%s is gated: accept its terms at %s, and set HF_TOKEN to a token of that account"
              : "%s is gated, and not given to this token: accept its terms at %s with its account",
          name,
          page);
    }
    if (status == 401) {
      return new CheckpointException(
          settings.token() == null
              ? "%s has no public model %s: correct the name, or set HF_TOKEN to a token that may"
                  + " read it"
              : "%s does not take the token for %s: set HF_TOKEN to a valid one that may read it",
          settings.host(),
          name.repository());
    }
    if (status == 404 && !code.equals("EntryNotFound")) {
      return new CheckpointException(
          code.equals("RevisionNotFound") ? "%s has no revision %s of %s" : "%s has no model %3$s",
          settings.host(),
          name.revision(),
          name.repository());
    }
    return new CheckpointException(
        "%s answers a request for %s with the status %s", settings.host(), name, status);
  }
}
