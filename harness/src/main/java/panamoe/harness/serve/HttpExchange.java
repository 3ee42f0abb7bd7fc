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
 * One HTTP request and its answer. Used by one thread at a time; any may {@link #cut} it off.
 * Closing it before {@link #end} closes the connection, so that half an answer does not look like a
 * whole one.
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
   * @param callback of the request's end
   * @param bodyBytes most bytes of the body
   * @param arrivals knows until when the body must be there
   * @param room for the body
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

  /** The answer is sent without waiting for the client, and nothing of the body is read. */
  HttpExchange withoutWaiting() {
    waits = false;
    return this;
  }

  /** Whose request it is, by its key; empty if the server needs none. */
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

  /** The address of this machine that was asked. */
  InetAddress bound() {
    return ((InetSocketAddress) request.getConnectionMetaData().getLocalSocketAddress())
        .getAddress();
  }

  boolean hasBody() {
    return request.getHeaders().contains(HttpHeader.TRANSFER_ENCODING) || request.getLength() > 0;
  }

  /** The request's object. */
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
    InputStream in = Content.Source.asInputStream(request); // closing it would end the connection
    for (int read = read(in, part); read >= 0; read = read(in, part)) {
      if (body.size() + read > bodyBytes) {
        throw ApiError.tooLarge(bodyBytes);
      }
      room.grow(2L * (body.size() + read)); // as much as the growing array may have
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
   * Whether the client has closed the connection, or its side of it, of which Jetty tells nothing
   * until it reads or writes. Only for a request whose body was read: there must be no other
   * reader.
   */
  boolean hasLeft() {
    SocketChannel channel =
        (SocketChannel)
            request.getConnectionMetaData().getConnection().getEndPoint().getTransport();
    try (Selector selector = Selector.open()) {
      channel.register(selector, SelectionKey.OP_READ);
      // What can be read but has no bytes is at its end; bytes are the client's next request.
      return selector.selectNow() > 0 && channel.socket().getInputStream().available() == 0;
    } catch (IOException _) {
      return !channel.isOpen(); // else it cannot be told
    }
  }

  void answer(Object record) throws IOException {
    answer(200, JSON, Json.bytes(record));
  }

  void answerJson(byte[] json) throws IOException {
    answer(200, JSON, json);
  }

  void answer(ApiError error) throws IOException {
    error.headers().forEach(response.getHeaders()::put);
    answer(error.status(), JSON, Json.bytes(error.body()));
  }

  void answer(int status, Object record) throws IOException {
    answer(status, JSON, Json.bytes(record));
  }

  void answer(String contentType, String text) throws IOException {
    answer(200, contentType, text.getBytes(StandardCharsets.UTF_8));
  }

  void answer(String contentType, byte[] bytes, Map<String, String> headers) throws IOException {
    headers.forEach(response.getHeaders()::put);
    answer(200, contentType, bytes);
  }

  private void answer(int status, String contentType, byte[] bytes) throws IOException {
    if (response.isCommitted()) {
      throw new IOException("another answer has begun");
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

  /** Answers with an error a request of which no call is made. */
  static void refuse(Response response, Callback callback, ApiError error) {
    error.headers().forEach(response.getHeaders()::put);
    response.setStatus(error.status());
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, JSON);
    response.write(true, ByteBuffer.wrap(Json.bytes(error.body())), callback);
  }

  /** Begins an answer of unknown length. */
  OutputStream stream(boolean events) {
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, events ? "text/event-stream" : JSON);
    if (events) {
      response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-cache");
      response.getHeaders().put("X-Accel-Buffering", "no");
    }
    return new BufferedOutputStream(Content.Sink.asOutputStream(response));
  }

  /**
   * Ends the request after its answer. The memory of its body is given back. What is left of the
   * body is read, for as long as a request may take to arrive: a client may read the answer only
   * when it has sent all.
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

  /** Closes the connection. */
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
