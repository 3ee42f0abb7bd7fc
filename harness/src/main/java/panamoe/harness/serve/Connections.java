package panamoe.harness.serve;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The connections with unfinished completions. Thread-safe. */
final class Connections implements AutoCloseable {
  private final Set<Connection> open = ConcurrentHashMap.newKeySet();
  private final Thread watch;

  /**
   * @param slowReader connections whose clients do not read for so long are closed
   */
  Connections(Duration slowReader) {
    watch =
        Thread.ofVirtual()
            .name("slow readers")
            .start(
                () -> {
                  try {
                    while (true) {
                      Thread.sleep(slowReader.dividedBy(20).plusMillis(1));
                      open.forEach(connection -> connection.cutIfSlow(slowReader));
                    }
                  } catch (InterruptedException _) {
                    // the server has stopped
                  }
                });
  }

  /**
   * @param cut closes the connection
   */
  Connection open(Runnable cut) {
    Connection connection = new Connection(cut);
    open.add(connection);
    return connection;
  }

  void closed(Connection connection) {
    open.remove(connection);
  }

  int size() {
    return open.size();
  }

  /** Ends all with an error. */
  void fail(ApiError error) {
    open.forEach(connection -> connection.fail(error));
  }

  @Override
  public void close() {
    watch.interrupt();
  }
}
