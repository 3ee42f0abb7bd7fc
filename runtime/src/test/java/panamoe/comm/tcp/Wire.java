package panamoe.comm.tcp;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;

/**
 * Two ends of a TCP connection on the loopback.
 *
 * @param left its one end
 * @param right its other end
 */
record Wire(SocketChannel left, SocketChannel right) implements AutoCloseable {
  static Wire open() throws IOException {
    try (ServerSocketChannel server = ServerSocketChannel.open()) {
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
      SocketChannel left = SocketChannel.open(server.getLocalAddress());
      return new Wire(left, server.accept());
    }
  }

  /** Waits for {@code count} bytes at the right end. */
  byte[] read(int count) {
    try {
      ByteBuffer bytes = ByteBuffer.allocate(count);
      while (bytes.hasRemaining() && right.read(bytes) >= 0) {}
      return bytes.array();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void write(byte[] bytes) {
    try {
      right.write(ByteBuffer.wrap(bytes));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    left.close();
    right.close();
  }
}
