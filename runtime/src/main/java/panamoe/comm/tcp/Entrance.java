package panamoe.comm.tcp;

import java.io.Closeable;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Lets the ranks above this one in, at a port where strangers may knock. Connections that have not
 * proved themselves have few places; when a host, or all together, have more, the oldest is closed.
 * So a flood neither fills the memory nor keeps out a rank, which proves itself in two round trips.
 * Thread-safe.
 */
final class Entrance implements Closeable {
  /** Takes a rank that has proved itself. */
  interface Welcome {
    void accept(Handshake.Peer peer) throws IOException;
  }

  /** Connections that the system holds until they are accepted. */
  static final int BACKLOG = 1024;

  /** Unproved connections of a host. All ranks may be on one machine. */
  static final int PLACES_OF_ADDRESS = 64;

  /** Unproved connections of all hosts. */
  static final int PLACES = 512;

  private final TcpRank self;
  private final Handshake handshake;
  private final LinkedHashMap<Socket, ByteBuffer> unproved = new LinkedHashMap<>(); // and hosts
  private final Map<Integer, Socket> claimed = new ConcurrentHashMap<>(); // by rank
  private boolean closed;
  private volatile String refused;

  Entrance(TcpRank self, Handshake handshake) {
    this.self = self;
    this.handshake = handshake;
  }

  /** Why a connection was refused the last time; null if none was. */
  String refused() {
    return refused;
  }

  /**
   * Waits on another thread until the connection has proved that it is a rank that is expected, and
   * gives the rank to {@code welcome}; otherwise closes the connection.
   */
  void admit(Socket socket, Welcome welcome) {
    enter(socket);
    Thread.startVirtualThread(
        () -> {
          try {
            Handshake.Peer peer = handshake.accept(socket, rank -> claim(rank, socket));
            welcome.accept(peer);
          } catch (IOException e) {
            if (e instanceof Handshake.Refused) {
              refused = e.getMessage();
            }
            leave(socket);
            claimed.values().remove(socket);
            Handshake.close(socket);
          }
        });
  }

  private boolean claim(int rank, Socket socket) {
    // From here on the rank may count on its place: nobody else's arrival closes it.
    return leave(socket)
        && rank > self.rank()
        && rank < self.size()
        && claimed.putIfAbsent(rank, socket) == null;
  }

  private synchronized void enter(Socket socket) {
    ByteBuffer host = host(socket.getInetAddress());
    unproved.put(socket, host);
    List<Socket> neighbours =
        unproved.keySet().stream().filter(each -> unproved.get(each).equals(host)).toList();
    if (closed) {
      Handshake.close(socket);
    } else if (neighbours.size() > Math.max(PLACES_OF_ADDRESS, 2 * self.size())) {
      leave(neighbours.getFirst());
      Handshake.close(neighbours.getFirst());
    } else if (unproved.size() > Math.max(PLACES, 2 * self.size())) {
      Handshake.close(unproved.pollFirstEntry().getKey());
    }
  }

  /** What all addresses of a machine have in common: of IPv6 the network of 64 bits. */
  static ByteBuffer host(InetAddress address) {
    byte[] bytes = address.getAddress();
    return ByteBuffer.wrap(bytes, 0, Math.min(bytes.length, Long.BYTES));
  }

  /** Returns whether the connection had a place until now. */
  private synchronized boolean leave(Socket socket) {
    return unproved.remove(socket) != null;
  }

  /** Closes all connections that have not proved themselves, and later ones. */
  @Override
  public synchronized void close() {
    closed = true;
    unproved.keySet().forEach(Handshake::close);
  }
}
