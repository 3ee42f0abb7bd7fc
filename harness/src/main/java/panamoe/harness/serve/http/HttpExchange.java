package panamoe.harness.serve.http;

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.function.BiFunction;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.EofException;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import tools.jackson.databind.node.ObjectNode;

/**
 * One HTTP request and its response. Used by one thread at a time; any may {@link #cut} it off. The
 * thread that reads the body is interrupted when the client leaves. Closing it before {@link #end}
 * closes the connection, so that a truncated response does not look complete.
 */
public final class HttpExchange implements AutoCloseable {
  public static final String JSON = "application/json";
  public static final String EVENTS = "text/event-stream";
  public static final String LINES = "application/x-ndjson";
  private static final int PART_BYTES = 8 << 10;

  private final Request request;
  private final Response response;
  private final Callback callback;
  private final int bodyBytes;
  private final RequestDeadlines arrivals;
  private final Departures departures;
  private final BodyMemory.Share room;
  private final AccessRecord record;
  private BiFunction<ApiError, String, Object> errors = (error, _) -> error.body();
  private long parsed; // bytes that parsed JSON takes
  private Departures.Watch watch; // null before the end of the body
  private boolean waits = true;
  private boolean broken;
  private boolean ended;

  /**
   * @param callback completes the request
   * @param bodyBytes maximum size of the body
   * @param arrivals the deadline of the body
   * @param departures watch the client from the end of the body on
   * @param room memory for the body
   * @param record receives what the access log says
   */
  HttpExchange(
      Request request,
      Response response,
      Callback callback,
      int bodyBytes,
      RequestDeadlines arrivals,
      Departures departures,
      BodyMemory.Share room,
      AccessRecord record) {
    this.request = request;
    this.response = response;
    this.callback = callback;
    this.bodyBytes = bodyBytes;
    this.arrivals = arrivals;
    this.departures = departures;
    this.room = room;
    this.record = record;
    if (!hasBody()) {
      arrivals.end(request);
    }
  }

  /** Sends the response without waiting for the client, and does not read the body. */
  public HttpExchange withoutWaiting() {
    waits = false;
    return this;
  }

  /** The request's key and tokens. */
  public AccessRecord record() {
    return record;
  }

  /** The name of the request's key; empty without keys. */
  public String user() {
    return record.key().name();
  }

  /** Sends errors in the form of an API, which gets the request's id. */
  public void errors(BiFunction<ApiError, String, Object> form) {
    errors = form;
  }

  public String method() {
    return request.getMethod();
  }

  public String path() {
    return request.getHttpURI().getDecodedPath();
  }

  public String header(String name) {
    return request.getHeaders().get(name);
  }

  /** The local address of the connection. */
  InetAddress bound() {
    return ((InetSocketAddress) request.getConnectionMetaData().getLocalSocketAddress())
        .getAddress();
  }

  public boolean hasBody() {
    return request.getHeaders().contains(HttpHeader.TRANSFER_ENCODING) || request.getLength() > 0;
  }

  /** The object in the request's body. */
  public Fields fields() throws IOException {
    return new Fields(object(body()));
  }

  /** Parses JSON in the memory that bodies may take, in addition to what was parsed before. */
  public ObjectNode object(byte[] json) {
    return Json.object(json, values -> room.grow(parsed += 2L * json.length + 64L * values));
  }

  /** Takes memory for a response that repeats the request at its beginning and at its end. */
  public void repeats() {
    room.grow(parsed += 2 * Math.max(0, parsed - BodyMemory.SMALL));
  }

  /** A value in the query of the path; null if absent. */
  public String query(String name) {
    return Request.extractQueryParameters(request).getValue(name);
  }

  /**
   * Reserves memory in addition to the body's.
   *
   * @throws ApiError 429 if others have too much
   */
  public void reserve(long bytes) {
    room.add(bytes);
  }

  private byte[] body() throws IOException {
    if (request.getLength() > bodyBytes) {
      throw ApiError.tooLarge(bodyBytes);
    }
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    byte[] part = new byte[PART_BYTES];
    InputStream in = Content.Source.asInputStream(request); // closing it would close the connection
    for (int read = read(in, part); read >= 0; read = read(in, part)) {
      if (body.size() + read > bodyBytes) {
        throw ApiError.tooLarge(bodyBytes);
      }
      room.grow(2L * (body.size() + read)); // the growing array may take twice the size
      body.write(part, 0, read);
    }
    arrivals.end(request);
    watch = departures.watch(request.getConnectionMetaData().getConnection().getEndPoint());
    return body.toByteArray();
  }

  private int read(InputStream in, byte[] part) throws IOException {
    try {
      return in.read(part);
    } catch (IOException e) {
      if (!(e instanceof HttpException)) {
        throw e;
      }
      broken = true;
      throw ApiError.protocol(400, "its body ends too early, or has chunks that are none");
    }
  }

  /** What the client waits for is done: it may leave from now on. */
  public void done() {
    if (watch != null) {
      watch.close();
    }
  }

  public void respond(Object record) throws IOException {
    respond(200, JSON, Json.bytes(record));
  }

  public void respondJson(byte[] json) throws IOException {
    respond(200, JSON, json);
  }

  public void respond(ApiError error) throws IOException {
    error.headers().forEach(response.getHeaders()::put);
    respond(error.status(), JSON, Json.bytes(errors.apply(error, record.id())));
  }

  public void respond(int status, Object record) throws IOException {
    respond(status, JSON, Json.bytes(record));
  }

  public void respond(String contentType, String text) throws IOException {
    respond(200, contentType, text.getBytes(StandardCharsets.UTF_8));
  }

  public void respond(String contentType, byte[] bytes, Map<String, String> headers)
      throws IOException {
    headers.forEach(response.getHeaders()::put);
    respond(200, contentType, bytes);
  }

  private void respond(int status, String contentType, byte[] bytes) throws IOException {
    if (response.isCommitted()) {
      throw new IOException("another response has begun");
    }
    done();
    response.setStatus(status);
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, contentType);
    response.getHeaders().put(HttpHeader.CONTENT_LENGTH, bytes.length);
    if (waits) {
      Content.Sink.write(response, true, ByteBuffer.wrap(bytes));
    } else {
      ended = true;
      arrivals.answered(request);
      response.write(true, ByteBuffer.wrap(bytes), callback);
    }
  }

  /** Sends an error for a request without an exchange. */
  static void refuse(Response response, Callback callback, ApiError error) {
    error.headers().forEach(response.getHeaders()::put);
    response.setStatus(error.status());
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, JSON);
    response.write(true, ByteBuffer.wrap(Json.bytes(error.body())), callback);
  }

  /** Begins a response of unknown length. */
  public OutputStream stream(String contentType) {
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, contentType);
    if (!contentType.equals(JSON)) {
      response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-cache");
      response.getHeaders().put("X-Accel-Buffering", "no");
    }
    return new BufferedOutputStream(Content.Sink.asOutputStream(response));
  }

  /**
   * Ends the request after its response, and frees its body's memory. The rest of the body is read
   * until its deadline, because a client may read the response only after it has sent everything.
   */
  public void end() throws IOException {
    if (ended) {
      return;
    }
    done();
    room.close();
    if (hasBody() && !broken && header("Expect") == null) {
      Content.Source.consumeAll(request);
    }
    ended = true;
    arrivals.answered(request);
    callback.succeeded();
  }

  public void cut() {
    request.getConnectionMetaData().getConnection().getEndPoint().close();
  }

  @Override
  public void close() {
    done();
    room.close();
    if (!ended) {
      ended = true;
      record.cut();
      cut();
      callback.failed(new EofException("the connection was cut off"));
    }
  }
}
