package panamoe.harness.serve.http;

import java.io.IOException;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.util.BufferUtil;

/**
 * Interrupts the threads of requests whose clients leave, because Jetty notices that only when it
 * reads or writes. A client leaves when it closes the connection or its sending side. Thread-safe.
 */
final class Departures implements Connection.Listener, AutoCloseable {
  private final Selector selector;

  Departures() throws IOException {
    selector = Selector.open();
    Thread.ofPlatform().daemon().name("departures").start(this::run);
  }

  private void run() {
    try {
      while (true) {
        selector.select(Departures::readable);
      }
    } catch (IOException | ClosedSelectorException _) {
      // the server has stopped
    }
  }

  static void readable(SelectionKey key) {
    try {
      key.interestOps(0);
      if (key.attachment() instanceof Watch watch) {
        watch.readable(key);
      }
    } catch (CancelledKeyException _) {
      // the connection is closed: its thread finds that when it writes
    }
  }

  /**
   * Interrupts this thread when the client of its request leaves, until the watch is closed, or the
   * client sends its next request. There must be no other reader: the request's body was read.
   */
  Watch watch(EndPoint end) {
    EndPoint plain = end instanceof EndPoint.Wrapper wrapper ? wrapper.unwrap() : end;
    Watch watch = new Watch(end, (SocketChannel) plain.getTransport(), Thread.currentThread());
    try {
      SelectionKey key = watch.channel.keyFor(selector);
      if (key == null) {
        watch.channel.register(selector, SelectionKey.OP_READ, watch);
      } else {
        key.attach(watch);
        key.interestOps(SelectionKey.OP_READ);
      }
      selector.wakeup();
    } catch (ClosedChannelException | CancelledKeyException _) {
      watch.thread.interrupt();
    }
    return watch;
  }

  /** The selector's key holds a closed socket open until the next selection. */
  @Override
  public void onClosed(Connection connection) {
    selector.wakeup();
  }

  @Override
  public void close() {
    try {
      selector.close();
    } catch (IOException e) {
      throw new IllegalStateException("a selector was not closed", e);
    }
  }

  /** The watch over one request. */
  static final class Watch implements AutoCloseable {
    private final EndPoint end;
    private final SocketChannel channel;
    private final Thread thread;
    private boolean closed;
    private boolean suspected;

    private Watch(EndPoint end, SocketChannel channel, Thread thread) {
      this.end = end;
      this.channel = channel;
      this.thread = thread;
    }

    /** The client has sent bytes or their end. */
    private synchronized void readable(SelectionKey key) {
      if (closed) {
        return;
      }
      try {
        boolean left =
            end instanceof EndPoint.Wrapper
                ? end.fill(BufferUtil.EMPTY_BUFFER) < 0 // keeps what it decrypts: the next request
                : suspected && unread() == 0;
        if (left) {
          thread.interrupt();
        } else if (unread() == 0) {
          // The first time the bytes may have been those of this watch's own request.
          suspected = true;
          key.interestOps(SelectionKey.OP_READ);
        }
      } catch (IOException | RuntimeException _) { // the other clients are watched on
        thread.interrupt();
      }
    }

    private int unread() throws IOException {
      return channel.socket().getInputStream().available();
    }

    @Override
    public synchronized void close() {
      closed = true;
    }
  }
}
