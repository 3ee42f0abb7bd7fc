package panamoe.harness.serve;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** One HTTP request and its answer. Used by its connection's thread. */
final class Call {
  private static final String JSON = "application/json";
  // Who sends more than this beyond the limit finds the connection closed instead of an answer.
  private static final long DRAINED_BYTES = 64L << 20;

  private final HttpExchange exchange;
  private final int bodyBytes;
  private final String user;

  /**
   * @param bodyBytes most bytes of the body
   * @param user whose request it is, by its key; empty if the server needs none
   */
  Call(HttpExchange exchange, int bodyBytes, String user) {
    this.exchange = exchange;
    this.bodyBytes = bodyBytes;
    this.user = user;
  }

  String user() {
    return user;
  }

  String path() {
    return exchange.getRequestURI().getPath();
  }

  /** The request's object. */
  Fields fields() throws IOException {
    return new Fields(Json.object(body()));
  }

  private byte[] body() throws IOException {
    InputStream in = exchange.getRequestBody();
    byte[] body = in.readNBytes(bodyBytes + 1);
    if (body.length > bodyBytes) {
      // A client reads the answer when it has sent its request.
      for (long left = DRAINED_BYTES; left > 0 && in.read(body) >= 0; left -= body.length) {}
      throw ApiError.tooLarge(bodyBytes);
    }
    return body;
  }

  String header(String name) {
    return exchange.getRequestHeaders().getFirst(name);
  }

  void answer(Object record) throws IOException {
    answer(200, JSON, Json.bytes(record));
  }

  void answerJson(byte[] json) throws IOException {
    answer(200, JSON, json);
  }

  void answer(ApiError error) throws IOException {
    error.headers().forEach(exchange.getResponseHeaders()::set);
    answer(error.status(), JSON, Json.bytes(error.body()));
  }

  void answer(int status, Object record) throws IOException {
    answer(status, JSON, Json.bytes(record));
  }

  void answer(String contentType, String text) throws IOException {
    answer(200, contentType, text.getBytes(StandardCharsets.UTF_8));
  }

  void answer(String contentType, byte[] bytes, Map<String, String> headers) throws IOException {
    headers.forEach(exchange.getResponseHeaders()::set);
    answer(200, contentType, bytes);
  }

  private void answer(int status, String contentType, byte[] bytes) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", contentType);
    if (exchange.getRequestMethod().equals("HEAD")) {
      exchange.getResponseHeaders().set("Content-Length", Integer.toString(bytes.length));
      exchange.sendResponseHeaders(status, -1);
      return;
    }
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  /** Begins an answer of unknown length. */
  OutputStream stream(boolean events) throws IOException {
    Headers headers = exchange.getResponseHeaders();
    headers.set("Content-Type", events ? "text/event-stream" : JSON);
    if (events) {
      headers.set("Cache-Control", "no-cache");
      headers.set("X-Accel-Buffering", "no");
    }
    exchange.sendResponseHeaders(200, 0);
    return exchange.getResponseBody();
  }
}
