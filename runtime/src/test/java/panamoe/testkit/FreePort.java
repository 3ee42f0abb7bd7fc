package panamoe.testkit;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.concurrent.ThreadLocalRandom;

/** A port for a test that cannot let the system choose, because others must know it before. */
public final class FreePort {
  // Below those that Linux gives to connections and to servers that name none: nobody else takes it
  // before the test does.
  private static final int FIRST = 10_000;
  private static final int LAST = 32_000;

  private FreePort() {}

  public static int find() {
    for (; ; ) {
      int port = ThreadLocalRandom.current().nextInt(FIRST, LAST);
      try (ServerSocket _ = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
        return port;
      } catch (IOException _) {
        // The next one.
      }
    }
  }
}
