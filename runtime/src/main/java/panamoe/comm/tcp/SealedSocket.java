package panamoe.comm.tcp;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.StreamCorruptedException;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;

/** A socket whose streams are encrypted once both sides have {@link #seal}ed it. */
final class SealedSocket extends Socket {
  private static final int ROOM = 1 << 12;

  private volatile InputStream in;
  private volatile OutputStream out;

  /** A server that accepts such sockets; not bound. */
  static ServerSocket server() throws IOException {
    return new ServerSocket() {
      @Override
      public Socket accept() throws IOException {
        SealedSocket socket = new SealedSocket();
        implAccept(socket);
        return socket;
      }
    };
  }

  /**
   * Encrypts what is sent from now on.
   *
   * @param keys null for a connection that is not encrypted
   */
  void seal(Handshake.Keys keys) throws IOException {
    if (keys != null) {
      out = new Sealing(super.getOutputStream(), Records.sealing(keys.outgoing(), ROOM));
      in = new Opening(super.getInputStream(), Records.opening(keys.incoming(), ROOM));
    }
  }

  @Override
  public InputStream getInputStream() throws IOException {
    return in == null ? super.getInputStream() : in;
  }

  @Override
  public OutputStream getOutputStream() throws IOException {
    return out == null ? super.getOutputStream() : out;
  }

  /** Every write is a record of its own, or several. */
  private static final class Sealing extends OutputStream {
    private final OutputStream to;
    private final Records records;

    Sealing(OutputStream to, Records records) {
      this.to = to;
      this.records = records;
    }

    @Override
    public void write(int value) throws IOException {
      write(new byte[] {(byte) value});
    }

    @Override
    public void write(byte[] bytes, int from, int count) throws IOException {
      for (int next = from; next < from + count; next += records.plain.limit()) {
        records.plain.clear();
        records.plain.put(bytes, next, Math.min(from + count - next, ROOM)).flip();
        records.seal();
        to.write(records.sealed.array(), 0, records.sealed.limit());
      }
    }
  }

  /** After a record that does not open, all that follows is dropped. */
  private static final class Opening extends InputStream {
    private final InputStream from;
    private final Records records;
    private boolean corrupted;

    Opening(InputStream from, Records records) {
      this.from = from;
      this.records = records;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] bytes, int to, int most) throws IOException {
      if (most == 0) {
        return 0;
      }
      if (corrupted) {
        from.transferTo(OutputStream.nullOutputStream());
        return -1;
      }
      while (!records.plain.hasRemaining() && !open()) {
        ByteBuffer sealed = records.sealed;
        int count = from.read(sealed.array(), sealed.position(), sealed.remaining());
        if (count < 0) {
          return -1;
        }
        sealed.position(sealed.position() + count);
      }
      int count = Math.min(most, records.plain.remaining());
      records.plain.get(bytes, to, count);
      return count;
    }

    private boolean open() throws IOException {
      try {
        return records.open();
      } catch (StreamCorruptedException e) {
        corrupted = true;
        throw e;
      }
    }
  }
}
