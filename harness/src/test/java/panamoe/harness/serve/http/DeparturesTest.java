package panamoe.harness.serve.http;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import org.eclipse.jetty.io.EndPoint;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class DeparturesTest {
  private final ServerSocketChannel server =
      ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
  private final SocketChannel client = SocketChannel.open(server.getLocalAddress());
  private final SocketChannel accepted = server.accept();

  DeparturesTest() throws IOException {
    accepted.configureBlocking(false);
  }

  @AfterEach
  void close() throws IOException {
    Thread.interrupted();
    client.close();
    accepted.close();
    server.close();
  }

  private EndPoint plain() {
    return (EndPoint)
        Proxy.newProxyInstance(
            EndPoint.class.getClassLoader(),
            new Class<?>[] {EndPoint.class},
            (_, _, _) -> accepted);
  }

  /** Of a connection whose decryption fails. */
  private EndPoint broken() {
    return (EndPoint)
        Proxy.newProxyInstance(
            EndPoint.class.getClassLoader(),
            new Class<?>[] {EndPoint.class, EndPoint.Wrapper.class},
            (_, method, _) -> {
              if (method.getName().equals("unwrap")) {
                return plain();
              }
              throw new IllegalStateException("broken");
            });
  }

  /** The selection may be of the request's own bytes, which are read by now. */
  @Test
  void oneSelectionWithoutBytesIsNoDeparture() throws IOException {
    try (Departures departures = new Departures();
        Selector selector = Selector.open()) {
      Departures.Watch watch = departures.watch(plain());
      SelectionKey key = accepted.register(selector, SelectionKey.OP_READ, watch);
      Departures.readable(key);
      assertFalse(Thread.currentThread().isInterrupted());
      assertEquals(SelectionKey.OP_READ, key.interestOps());
      client.close();
      awaitInterrupt();
    }
  }

  @Test
  void aConnectionThatBreaksEndsNoOtherWatch() throws IOException {
    try (Departures departures = new Departures()) {
      departures.watch(broken());
      client.shutdownOutput();
      awaitInterrupt();
      departures.watch(plain());
      awaitInterrupt();
    }
  }

  private static void awaitInterrupt() {
    assertThrows(InterruptedException.class, () -> Thread.sleep(Duration.ofSeconds(30)));
  }
}
