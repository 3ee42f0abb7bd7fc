package panamoe.harness.serve;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.server.Request;

/**
 * Until when clients must have sent their requests: a connection whose request is late is closed,
 * however slowly it goes on. Thread-safe.
 */
final class RequestDeadlines implements Connection.Listener, AutoCloseable {
  /** How long a request may take to arrive. */
  static final Duration REQUEST = Duration.ofSeconds(60);

  /**
   * How long a connection may be open without a request. One that is closed while a client sends
   * its next request fails that request: the client should close it first. Clients keep an unused
   * one for up to 90 s.
   */
  static final Duration UNUSED = Duration.ofSeconds(120);

  private static final Duration POLL = Duration.ofSeconds(1);
  private static final long NEVER = Long.MAX_VALUE;

  private final long start = System.nanoTime();
  // By connection, in nanoseconds after the start.
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
   * @param now as {@link System#nanoTime} tells it
   */
  void closeLate(long now) {
    due.forEach(
        (connection, end) -> {
          if (now - start > end) {
            connection.getEndPoint().close();
          }
        });
  }

  /** Connections. */
  int size() {
    return due.size();
  }

  @Override
  public void onOpened(Connection connection) {
    due.put(connection, System.nanoTime() - start + REQUEST.toNanos());
  }

  @Override
  public void onClosed(Connection connection) {
    due.remove(connection);
  }

  /** A request's head is there, but perhaps not its body. */
  void begin(Request request) {
    set(request, request.getBeginNanoTime() - start + REQUEST.toNanos());
  }

  /** All of a request is there. */
  void end(Request request) {
    set(request, NEVER);
  }

  /** A request is answered, and there may be another one. */
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
