package panamoe.comm.tcp;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.GatheringByteChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SocketChannel;

/**
 * A non-blocking channel whose bytes are encrypted. One thread may read while another writes.
 *
 * <p>A write takes bytes from its buffers only after their record has been sent: as long as it
 * returns 0, call it again with the same bytes.
 */
final class SealedChannel implements GatheringByteChannel, ReadableByteChannel {
  // Large enough that the start of a record costs little, small enough for the caches.
  private static final int ROOM = 1 << 16;

  private final SocketChannel channel;
  private final Records outgoing;
  private final Records incoming;

  SealedChannel(SocketChannel channel, Handshake.Keys keys) {
    this.channel = channel;
    this.outgoing = Records.sealing(keys.outgoing(), ROOM);
    this.incoming = Records.opening(keys.incoming(), ROOM);
  }

  @Override
  public long write(ByteBuffer[] sources, int offset, int length) throws IOException {
    ByteBuffer plain = outgoing.plain;
    if (!outgoing.sealed.hasRemaining()) {
      plain.clear();
      for (int i = offset; i < offset + length; i++) {
        int bytes = Math.min(sources[i].remaining(), plain.remaining());
        plain.put(plain.position(), sources[i], sources[i].position(), bytes);
        plain.position(plain.position() + bytes);
      }
      if (!plain.flip().hasRemaining()) {
        return 0;
      }
      outgoing.seal();
    }
    channel.write(outgoing.sealed);
    if (outgoing.sealed.hasRemaining()) {
      return 0;
    }
    int left = plain.remaining();
    for (int i = offset; i < offset + length; i++) {
      int bytes = Math.min(sources[i].remaining(), left);
      sources[i].position(sources[i].position() + bytes);
      left -= bytes;
    }
    return plain.remaining();
  }

  @Override
  public long write(ByteBuffer[] sources) throws IOException {
    return write(sources, 0, sources.length);
  }

  @Override
  public int write(ByteBuffer source) throws IOException {
    return (int) write(new ByteBuffer[] {source});
  }

  @Override
  public int read(ByteBuffer target) throws IOException {
    ByteBuffer plain = incoming.plain;
    while (!plain.hasRemaining() && !incoming.open()) {
      int count = channel.read(incoming.sealed);
      if (count <= 0) {
        return count;
      }
    }
    int bytes = Math.min(plain.remaining(), target.remaining());
    target.put(target.position(), plain, plain.position(), bytes);
    target.position(target.position() + bytes);
    plain.position(plain.position() + bytes);
    return bytes;
  }

  @Override
  public boolean isOpen() {
    return channel.isOpen();
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
