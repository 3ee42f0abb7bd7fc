package panamoe.harness.serve;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.util.List;
import java.util.function.Consumer;
import org.eclipse.jetty.http.HttpCompliance;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.http.HttpVersion;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.server.internal.HttpConnection;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * HTTP/1.1 by Jetty in its strict mode, because requests that a proxy and a server parse
 * differently can be smuggled. Errors of Jetty are sent in OpenAI's form.
 */
final class HttpListener implements AutoCloseable {
  private static final int BACKLOG = 1024;
  private static final int HEAD_BYTES = 16 << 10;
  private static final int HEADERS = 100;
  private static final int THREADS = 8; // they parse heads and never block

  private final RequestDeadlines arrivals = new RequestDeadlines();
  private final BodyMemory room;
  private final Limits.Http limits;
  private final Server server;
  private final ServerConnector connector;
  private final int port; // the connector drops it when it closes

  /**
   * Starts to listen.
   *
   * @param calls receives each request after its head, and must not block
   * @throws IOException if the address cannot be bound
   */
  HttpListener(InetSocketAddress address, Limits.Http limits, Consumer<HttpExchange> calls)
      throws IOException {
    this.limits = limits;
    this.room = new BodyMemory(limits.bodiesBytes());
    QueuedThreadPool threads = new QueuedThreadPool(THREADS, 1);
    threads.setName("http");
    threads.setDaemon(true);
    server = new Server(threads);
    server.setErrorHandler(HttpListener::refuse);
    server.setHandler(
        new Handler.Abstract.NonBlocking() {
          @Override
          public boolean handle(Request request, Response response, Callback callback) {
            return take(request, response, callback, calls);
          }
        });
    connector = new ServerConnector(server, 0, 1, new Factory(configuration()));
    connector.setIdleTimeout(
        Math.max(RequestDeadlines.UNUSED.toMillis(), limits.slowReader().toMillis()));
    connector.addBean(arrivals);
    server.addConnector(connector);
    NetworkConnectionLimit most = new NetworkConnectionLimit(limits.connections(), connector);
    most.setEndPointIdleTimeout(limits.idle().toMillis());
    server.addBean(most);
    try {
      connector.open(bound(address));
      server.start();
      port = connector.getLocalPort();
    } catch (Exception e) { // declared by Jetty
      close();
      switch (e) {
        case IOException io -> throw io;
        case RuntimeException wrong -> throw wrong;
        default -> throw new IOException(e);
      }
    }
  }

  /** The number of connections whose parsed request heads fit {@code bytes}. */
  static int connections(long bytes) {
    return (int) Math.min(2048, bytes / (3 * HEAD_BYTES));
  }

  private static ServerSocketChannel bound(InetSocketAddress address) throws IOException {
    ServerSocketChannel channel = ServerSocketChannel.open();
    try {
      return channel.bind(address, BACKLOG);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw e;
    }
  }

  /**
   * Counts headers while they arrive, because each takes far more memory than its bytes. Jetty only
   * limits bytes, and offers no public class to extend for this.
   */
  private static final class Factory extends HttpConnectionFactory {
    Factory(HttpConfiguration configuration) {
      super(configuration);
    }

    @Override
    public Connection newConnection(Connector connector, EndPoint endPoint) {
      return configure(
          new HttpConnection(getHttpConfiguration(), connector, endPoint) {
            @Override
            protected RequestHandler newRequestHandler() {
              return new RequestHandler() {
                private int headers;

                @Override
                public void startRequest(String method, String uri, HttpVersion version) {
                  headers = 0;
                  super.startRequest(method, uri, version);
                }

                @Override
                public void parsedHeader(HttpField field) {
                  if (++headers > HEADERS) {
                    throw new HttpException.RuntimeException(
                        HttpStatus.REQUEST_HEADER_FIELDS_TOO_LARGE_431,
                        "it has more than " + HEADERS + " headers");
                  }
                  super.parsedHeader(field);
                }
              };
            }
          },
          connector,
          endPoint);
    }
  }

  private static HttpConfiguration configuration() {
    HttpConfiguration http = new HttpConfiguration();
    http.setHttpCompliance(HttpCompliance.STRICT);
    http.setUriCompliance(UriCompliance.RFC3986);
    http.setRequestHeaderSize(HEAD_BYTES);
    http.setSendServerVersion(false);
    return http;
  }

  private boolean take(
      Request request, Response response, Callback callback, Consumer<HttpExchange> calls) {
    List<String> codings = request.getHeaders().getCSV(HttpHeader.TRANSFER_ENCODING, false);
    if (!codings.isEmpty()
        && !(codings.size() == 1 && codings.getFirst().equalsIgnoreCase("chunked"))) {
      String message =
          "its Transfer-Encoding is " + String.join(", ", codings) + ", expected chunked";
      response.getHeaders().put(HttpHeader.CONNECTION, "close");
      HttpExchange.refuse(
          response, callback, ApiError.protocol(HttpStatus.NOT_IMPLEMENTED_501, message));
      return true;
    }
    request.addIdleTimeoutListener(_ -> false); // generation takes time
    arrivals.begin(request);
    calls.accept(
        new HttpExchange(request, response, callback, limits.bodyBytes(), arrivals, room.share()));
    return true;
  }

  /** Sends Jetty's error for a request. */
  private static boolean refuse(Request request, Response response, Callback callback) {
    int status = response.getStatus();
    Object message = request.getAttribute(ErrorHandler.ERROR_MESSAGE);
    ApiError error =
        request.getAttribute(ErrorHandler.ERROR_EXCEPTION) instanceof OutOfMemoryError
            ? ApiError.outOfMemory()
            : status == HttpStatus.INTERNAL_SERVER_ERROR_500
                ? ApiError.internal("the server failed to serve this request")
                : ApiError.protocol(status, String.valueOf(message));
    HttpExchange.refuse(response, callback, error);
    return true;
  }

  RequestDeadlines arrivals() {
    return arrivals;
  }

  int port() {
    return port;
  }

  /** Closes all connections. */
  @Override
  public void close() {
    arrivals.close();
    try {
      server.stop();
    } catch (Exception e) { // declared by Jetty
      throw new IllegalStateException("the HTTP server did not stop", e);
    }
  }
}
