package panamoe.harness.serve.http;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import panamoe.engine.Generation;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * What the access log says of a request: a line of JSON without its content. Its tokens are counted
 * for its key too. Thread-safe.
 */
public final class AccessRecord {
  /** The header of a request's id. */
  static final String ID = "x-request-id";

  /** Its name that Anthropic's clients know. */
  static final String ANTHROPIC_ID = "request-id";

  /** The header by which Anthropic's clients are known. */
  public static final String ANTHROPIC = "anthropic-version";

  /** The status if the client left before a response began, as in nginx. */
  static final int CLIENT_LEFT = 499;

  private static final Pattern SANE = Pattern.compile("[\\w.:/+=@-]{1,128}");

  private final String id;
  private final String method;
  private final String path;
  private final Instant time = Instant.now();
  private final long begin = System.nanoTime();
  private final AtomicLong promptTokens = new AtomicLong();
  private final AtomicLong tokens = new AtomicLong();
  private volatile ApiKey key = ApiKey.NONE;
  // Nanoseconds after the beginning; negative if not known.
  private volatile long started = -1;
  private volatile long first = -1;
  private volatile boolean cut;
  private volatile int status;
  private volatile long bytes;

  /**
   * @param given the client's id, which is taken if it is one; null for none
   */
  AccessRecord(String given, String method, String path) {
    this.id = given != null && SANE.matcher(given).matches() ? given : UUID.randomUUID().toString();
    this.method = method;
    this.path = path;
  }

  public String id() {
    return id;
  }

  public String path() {
    return path;
  }

  public int status() {
    return status;
  }

  public ApiKey key() {
    return key;
  }

  public void by(ApiKey used) {
    key = used;
  }

  /**
   * The prompts or texts of the request start.
   *
   * @throws ApiError 429 if its key has no tokens left
   */
  public void prompts(long count) {
    key.quota().start(count);
    promptTokens.addAndGet(count);
  }

  /** A token was generated. */
  public void token() {
    if (tokens.getAndIncrement() == 0) {
      first = System.nanoTime() - begin;
    }
    key.quota().use(1);
  }

  public void ended(Generation.Times times) {
    if (started < 0 && times.started() != 0) {
      started = times.started() - begin;
    }
  }

  /** The connection was closed before the response's end. */
  void cut() {
    cut = true;
  }

  /**
   * @param begun whether the response was begun
   * @param length of the response's body in bytes
   */
  void answered(int sent, boolean begun, long length) {
    status = cut && !begun ? CLIENT_LEFT : sent;
    bytes = length;
  }

  /**
   * The line.
   *
   * @param route the path without names that a client chose
   */
  public String line(String route) {
    ObjectNode line = JsonNodeFactory.instance.objectNode();
    line.put("time", time.truncatedTo(ChronoUnit.MILLIS).toString()).put("id", id);
    if (key != ApiKey.NONE) {
      line.put("key", key.name());
    }
    line.put("method", method).put("route", route).put("status", status).put("bytes", bytes);
    if (promptTokens.get() > 0) {
      line.put("prompt_tokens", promptTokens.get()).put("completion_tokens", tokens.get());
    }
    putMillis(line, "queue_ms", started);
    putMillis(line, "first_token_ms", first);
    putMillis(line, "total_ms", System.nanoTime() - begin);
    if (cut) {
      line.put("cut", true);
    }
    return line.toString();
  }

  private static void putMillis(ObjectNode line, String name, long nanos) {
    if (nanos >= 0) {
      line.put(name, Math.round(nanos / 1e3) / 1e3);
    }
  }
}
