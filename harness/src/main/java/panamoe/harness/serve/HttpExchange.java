package panamoe.harness.serve;

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.io.EofException;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/**
 * One HTTP request and its response. Used by one thread at a time; any may {@link #cut} it off.
 * Closing it before {@link #end} closes the connection, so that a truncated response does not look
 * complete.
 */
final class HttpExchange implements AutoCloseable {
  private static final String JSON = "application/json";
  private static final int PART_BYTES = 8 << 10;

  private final Request request;
  private final Response response;
  private final Callback callback;
  private final int bodyBytes;
  private final RequestDeadlines arrivals;
  private final BodyMemory.Share room;
  private String user = "";
  private boolean waits = true;
  private boolean broken;
  private boolean ended;

  /**
   * @param callback completes the request
   * @param bodyBytes maximum size of the body
   * @param arrivals the deadline of the body
   * @param room memory for the body
   */
  HttpExchange(
      Request request,
      Response response,
      Callback callback,
      int bodyBytes,
      RequestDeadlines arrivals,
      BodyMemory.Share room) {
    this.request = request;
    this.response = response;
    this.callback = callback;
    this.bodyBytes = bodyBytes;
    this.arrivals = arrivals;
    this.room = room;
    if (!hasBody()) {
      arrivals.end(request);
    }
  }

  /** Sends the response without waiting for the client, and does not read the body. */
  HttpExchange withoutWaiting() {
    waits = false;
    return this;
  }

  /** The number of the request's key; empty if the server needs none. */
  String user() {
    return user;
  }

  void by(String name) {
    user = name;
  }

  String method() {
    return request.getMethod();
  }

  String path() {
    return request.getHttpURI().getDecodedPath();
  }

  String header(String name) {
    return request.getHeaders().get(name);
  }

  /** The local address of the connection. */
  InetAddress bound() {
    return ((InetSocketAddress) request.getConnectionMetaData().getLocalSocketAddress())
        .getAddress();
  }

  boolean hasBody() {
    return request.getHeaders().contains(HttpHeader.TRANSFER_ENCODING) || request.getLength() > 0;
  }

  /** The object in the request's body. */
  Fields fields() throws IOException {
    byte[] body = body();
    return new Fields(Json.object(body, values -> room.grow(2L * body.length + 64L * values)));
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

  /**
   * Whether the client has closed the connection or its sending side, which Jetty reports only at
   * the next read or write. Only for a request whose body was read: there must be no other reader.
   */
  boolean hasLeft() {
    SocketChannel channel =
        (SocketChannel)
            request.getConnectionMetaData().getConnection().getEndPoint().getTransport();
    try (Selector selector = Selector.open()) {
      channel.register(selector, SelectionKey.OP_READ);
      // Readable without bytes means end of stream; bytes are the client's next request.
      return selector.selectNow() > 0 && channel.socket().getInputStream().available() == 0;
    } catch (IOException _) {
      return !channel.isOpen(); // otherwise unknown
    }
  }

  void respond(Object record) throws IOException {
    respond(200, JSON, Json.bytes(record));
  }

  void respondJson(byte[] json) throws IOException {
    respond(200, JSON, json);
  }

  void respond(ApiError error) throws IOException {
    error.headers().forEach(response.getHeaders()::put);
    respond(error.status(), JSON, Json.bytes(error.body()));
  }

  void respond(int status, Object record) throws IOException {
    respond(status, JSON, Json.bytes(record));
  }

  void respond(String contentType, String text) throws IOException {
    respond(200, contentType, text.getBytes(StandardCharsets.UTF_8));
  }

  void respond(String contentType, byte[] bytes, Map<String, String> headers) throws IOException {
    headers.forEach(response.getHeaders()::put);
    respond(200, contentType, bytes);
  }

  private void respond(int status, String contentType, byte[] bytes) throws IOException {
    if (response.isCommitted()) {
      throw new IOException("another response has begun");
    }
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
  OutputStream stream(boolean events) {
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, events ? "text/event-stream" : JSON);
    if (events) {
      response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-cache");
      response.getHeaders().put("X-Accel-Buffering", "no");
    }
    return new BufferedOutputStream(Content.Sink.asOutputStream(response));
  }

  /**
   * Ends the request after its response, and frees its body's memory. The rest of the body is read
   * until its deadline, because a client may read the response only after it has sent everything.
   */
  void end() throws IOException {
    if (ended) {
      return;
    }
    room.close();
    if (hasBody() && !broken && header("Expect") == null) {
      Content.Source.consumeAll(request);
    }
    ended = true;
    arrivals.answered(request);
    callback.succeeded();
  }

  void cut() {
    request.getConnectionMetaData().getConnection().getEndPoint().close();
  }

  @Override
  public void close() {
    room.close();
    if (!ended) {
      ended = true;
      cut();
      callback.failed(new EofException("the connection was cut off"));
    }
  }
}
