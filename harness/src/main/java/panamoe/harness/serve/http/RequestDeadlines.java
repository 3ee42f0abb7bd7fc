package panamoe.harness.serve.http;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.ssl.SslConnection;
import org.eclipse.jetty.server.Request;

/**
 * Deadlines for the arrival of requests: the connection of a late request is closed, even if bytes
 * still arrive. Thread-safe.
 */
final class RequestDeadlines implements Connection.Listener, AutoCloseable {
  /** How long a request may take to arrive. */
  static final Duration REQUEST = Duration.ofSeconds(60);

  /**
   * How long a connection may be open without a request. If the server closes it while the client
   * sends its next request, that request fails, so the client should close it first. Clients keep
   * an unused connection for up to 90 s.
   */
  static final Duration UNUSED = Duration.ofSeconds(120);

  private static final Duration POLL = Duration.ofSeconds(1);
  private static final long NEVER = Long.MAX_VALUE;

  private final long start = System.nanoTime();
  // In nanoseconds after the start.
  private final Map<Connection, Long> due = new ConcurrentHashMap<>();
  private final Thread watch = Thread.ofPlatform().daemon().name("arrivals").start(this::watch);

  private void watch() {
    try {
      while (true) {
        Thread.sleep(POLL);
        closeLate(System.nanoTime());
      }
    } catch (InterruptedException _) {
      // the server has stopped
    }
  }

  /**
   * @param now by {@link System#nanoTime}
   */
  void closeLate(long now) {
    due.forEach(
        (connection, end) -> {
          if (now - start > end) {
            connection.getEndPoint().close();
          }
        });
  }

  /** The number of connections with a deadline. */
  int size() {
    return due.size();
  }

  @Override
  public void onOpened(Connection connection) {
    if (!(connection instanceof SslConnection)) { // that of HTTP within it has the deadline
      due.put(connection, System.nanoTime() - start + REQUEST.toNanos());
    }
  }

  @Override
  public void onClosed(Connection connection) {
    due.remove(connection);
  }

  /** A request's head has arrived, but perhaps not its body. */
  void begin(Request request) {
    set(request, request.getBeginNanoTime() - start + REQUEST.toNanos());
  }

  /** A request has arrived completely. */
  void end(Request request) {
    set(request, NEVER);
  }

  /** A response was sent; another request may come. */
  void answered(Request request) {
    set(request, System.nanoTime() - start + UNUSED.toNanos());
  }

  private void set(Request request, long end) {
    due.replace(request.getConnectionMetaData().getConnection(), end); // unless it is closed
  }

  @Override
  public void close() {
    watch.interrupt();
  }
}
