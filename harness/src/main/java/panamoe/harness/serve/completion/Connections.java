package panamoe.harness.serve.completion;

import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import panamoe.harness.serve.http.ApiError;

/** The connections with unfinished completions. Thread-safe. */
public final class Connections implements AutoCloseable {
  private final Set<Connection> open = ConcurrentHashMap.newKeySet();
  private final Thread watch;

  /**
   * @param slowReader connections whose clients do not read for so long are closed
   */
  public Connections(Duration slowReader) {
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
  public Connection open(Runnable cut) {
    Connection connection = new Connection(cut);
    open.add(connection);
    return connection;
  }

  public void closed(Connection connection) {
    open.remove(connection);
  }

  public int size() {
    return open.size();
  }

  /** Ends all with an error. */
  public void fail(ApiError error) {
    open.forEach(connection -> connection.fail(error));
  }

  @Override
  public void close() {
    watch.interrupt();
  }
}
