package panamoe.harness.serve.http;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.eclipse.jetty.http.HttpCompliance;
import org.eclipse.jetty.http.HttpException;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpStatus;
import org.eclipse.jetty.http.HttpURI;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.http.UriCompliance.Violation;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.server.handler.CrossOriginHandler;
import org.eclipse.jetty.server.handler.ErrorHandler;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

/**
 * HTTP/1.1 by Jetty in its strict mode, with or without TLS, because requests that a proxy and a
 * server parse differently can be smuggled. Errors of Jetty are sent in OpenAI's form.
 */
public final class HttpListener implements AutoCloseable {
  private static final int BACKLOG = 1024;
  private static final int HEAD_BYTES = 16 << 10;
  private static final int THREADS = 8; // they parse heads and never block

  /** Where a name, such as owner/model, may have its slash escaped: some clients do. */
  private static final String NAMES = "/v1/models/";

  private static final String RECORD = AccessRecord.class.getName();

  private final RequestDeadlines arrivals = new RequestDeadlines();
  private final Departures departures = new Departures();
  private final BodyMemory room;
  private final Limits.Http limits;
  private final Server server;
  private final ServerConnector connector;
  private final int port; // the connector drops it when it closes

  /**
   * Starts to listen.
   *
   * @param tls the certificate; null for HTTP without TLS
   * @param origins of other sites whose pages may read responses
   * @param calls receives each request after its head, and must not block
   * @param ended receives the record of each request at its end, and must not block
   * @throws IOException if the address cannot be bound
   */
  public HttpListener(
      InetSocketAddress address,
      TlsCertificate tls,
      Limits.Http limits,
      Set<String> origins,
      Consumer<HttpExchange> calls,
      Consumer<AccessRecord> ended)
      throws IOException {
    this.limits = limits;
    this.room = new BodyMemory(limits.bodiesBytes());
    QueuedThreadPool threads = new QueuedThreadPool(THREADS, 1);
    threads.setName("http");
    threads.setDaemon(true);
    server = new Server(threads);
    server.setErrorHandler(HttpListener::refuse);
    Handler handler =
        new Handler.Abstract.NonBlocking() {
          @Override
          public boolean handle(Request request, Response response, Callback callback) {
            return take(request, response, callback, calls);
          }
        };
    server.setHandler(origins.isEmpty() ? handler : forPagesOf(origins, handler));
    server.setRequestLog(
        (request, response) -> {
          AccessRecord record = record(request, response.getHeaders());
          record.answered(
              response.getStatus(),
              response.isCommitted(),
              Response.getContentBytesWritten(response));
          ended.accept(record);
        });
    HttpConnectionFactory http = new LimitedHeaders(configuration());
    connector =
        tls == null
            ? new ServerConnector(server, 0, 1, http)
            : new ServerConnector(
                server, 0, 1, new SslConnectionFactory(tls.contexts(), http.getProtocol()), http);
    connector.setIdleTimeout(
        Math.max(RequestDeadlines.UNUSED.toMillis(), limits.slowReader().toMillis()));
    connector.addBean(arrivals);
    connector.addBean(departures);
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

  /** Answers browsers that ask what pages of {@code origins} may do, by CORS. */
  private static Handler forPagesOf(Set<String> origins, Handler handler) {
    CrossOriginHandler cors = new CrossOriginHandler();
    cors.setAllowedOriginPatterns(origins.stream().map(Pattern::quote).collect(Collectors.toSet()));
    cors.setAllowedMethods(Set.of("GET", "HEAD", "POST", "DELETE"));
    cors.setAllowedHeaders(Set.of("*", "Authorization")); // the asterisk does not include keys
    cors.setExposedHeaders(
        Set.of(
            AccessRecord.ID,
            AccessRecord.ANTHROPIC_ID,
            "Retry-After",
            "retry-after-ms",
            "x-should-retry"));
    cors.setHandler(handler);
    return cors;
  }

  private static HttpConfiguration configuration() {
    HttpConfiguration http = new HttpConfiguration();
    http.addCustomizer(
        (request, headers) -> {
          record(request, headers);
          HttpURI uri = request.getHttpURI();
          if (uri.hasViolation(Violation.AMBIGUOUS_PATH_SEPARATOR)
              && !uri.getDecodedPath().startsWith(NAMES)) {
            throw new HttpException.RuntimeException(
                HttpStatus.BAD_REQUEST_400, "Ambiguous URI path separator");
          }
          return request;
        });
    http.setHttpCompliance(HttpCompliance.STRICT);
    http.setUriCompliance(
        UriCompliance.RFC3986.with("a / in a name", Violation.AMBIGUOUS_PATH_SEPARATOR));
    http.setRequestHeaderSize(HEAD_BYTES);
    http.setSendServerVersion(false);
    return http;
  }

  /** A request's record; its id is sent with the response. */
  private static AccessRecord record(Request request, HttpFields headers) {
    if (request.getAttribute(RECORD) instanceof AccessRecord record) {
      return record;
    }
    AccessRecord record =
        new AccessRecord(
            request.getHeaders().get(AccessRecord.ID),
            request.getMethod(),
            request.getHttpURI().getDecodedPath());
    request.setAttribute(RECORD, record);
    if (headers instanceof HttpFields.Mutable sent) {
      sent.put(AccessRecord.ID, record.id());
      if (request.getHeaders().contains(AccessRecord.ANTHROPIC)) {
        sent.put(AccessRecord.ANTHROPIC_ID, record.id());
      }
    }
    return record;
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
        new HttpExchange(
            request,
            response,
            callback,
            limits.bodyBytes(),
            arrivals,
            departures,
            room.share(),
            record(request, response.getHeaders())));
    return true;
  }

  /** Sends Jetty's error for a request. */
  private static boolean refuse(Request request, Response response, Callback callback) {
    record(request, response.getHeaders());
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

  public int port() {
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
    } finally {
      departures.close();
    }
  }
}
