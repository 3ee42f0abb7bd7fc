package panamoe.comm.tcp;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import panamoe.comm.CollectiveMismatch;
import panamoe.comm.CommunicationException;
import panamoe.comm.MachineAddresses;
import panamoe.io.Words;

/** Connects every two ranks; each rank connects to those below it. */
final class Mesh {
  private static final int CONNECT_MILLIS = 2000;
  private static final int PAUSE_MILLIS = 100;
  private static final Path BOOT = Path.of("/proc/sys/kernel/random/boot_id");

  /**
   * The address data that a rank sends to the others.
   *
   * @param port at which it listens
   * @param machine a name without spaces
   * @param seen the address under which rank 0 sees the rank: a container or a private network
   *     hides a machine's outer addresses from it
   * @param addresses that the machine itself knows, the loopback first
   */
  private record Endpoint(int port, String machine, String seen, List<String> addresses) {
    byte[] bytes() {
      return (port + " " + machine + " " + seen + " " + String.join(" ", addresses))
          .getBytes(StandardCharsets.UTF_8);
    }

    static Endpoint of(byte[] bytes) {
      List<String> words = List.of(new String(bytes, StandardCharsets.UTF_8).split(" "));
      return new Endpoint(
          Integer.parseInt(words.get(0)),
          words.get(1),
          words.get(2),
          words.subList(3, words.size()));
    }

    /** The addresses to try from another rank, the most likely first. */
    List<String> from(Endpoint other) throws IOException {
      if (machine.equals(other.machine)) {
        return addresses;
      }
      List<String> all = new ArrayList<>(List.of(seen));
      for (String address : addresses) {
        if (!InetAddress.getByName(address).isLoopbackAddress()) {
          all.add(address);
        }
      }
      return all;
    }
  }

  private final TcpRank self;
  private final Handshake handshake;
  private final Connection[] connections; // by rank; null for this one
  private final int[] nodes;
  private final CountDownLatch missing;
  private boolean closed;

  private Mesh(TcpRank self, Handshake handshake) {
    this.self = self;
    this.handshake = handshake;
    this.connections = new Connection[self.size()];
    this.nodes = new int[self.size()];
    this.missing = new CountDownLatch(self.size() - 1 - self.rank());
  }

  Connection[] connections() {
    return connections;
  }

  /** The lowest rank on a rank's machine. */
  int node(int rank) {
    return nodes[rank];
  }

  /**
   * Connects this rank with all others; collective.
   *
   * @param patience how long connecting may take
   * @throws CommunicationException in one sentence, if a rank cannot be reached
   */
  static Mesh connect(
      TcpRank self, Handshake handshake, TcpRendezvous rendezvous, Duration patience) {
    Mesh mesh = new Mesh(self, handshake);
    try {
      mesh.connect(rendezvous, patience);
      return mesh;
    } catch (InterruptedException e) {
      mesh.close();
      Thread.currentThread().interrupt();
      throw new CommunicationException(
          "rank " + self.rank() + " was interrupted while it waited for the others", e);
    } catch (IOException e) {
      mesh.close();
      throw new CommunicationException(
          "rank " + self.rank() + " cannot connect to the others: " + e.getMessage(), e);
    } catch (RuntimeException e) {
      mesh.close();
      throw e;
    }
  }

  private void connect(TcpRendezvous rendezvous, Duration patience)
      throws IOException, InterruptedException {
    try (ServerSocketChannel server = ServerSocketChannel.open();
        Entrance entrance = new Entrance(self, handshake)) {
      boolean near = InetAddress.getByName(self.host()).isLoopbackAddress();
      server.bind(
          near ? new InetSocketAddress(InetAddress.getLoopbackAddress(), 0) : null,
          Entrance.BACKLOG);
      List<Endpoint> endpoints = endpoints(rendezvous, server.socket().getLocalPort());
      List<String> machines = endpoints.stream().map(Endpoint::machine).toList();
      Arrays.setAll(nodes, rank -> machines.indexOf(machines.get(rank)));
      Thread.startVirtualThread(() -> accept(server, entrance));
      // Half of the patience: who cannot reach a rank says so before that rank misses it.
      long end = System.nanoTime() + patience.toNanos() / 2;
      for (int rank = 0; rank < self.rank(); rank++) {
        connections[rank] = connect(rank, endpoints.get(rank), endpoints.get(self.rank()), end);
      }
      if (!missing.await(patience.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new CommunicationException(late(patience));
      }
    }
  }

  private synchronized String late(Duration patience) {
    List<Integer> late =
        IntStream.range(self.rank() + 1, self.size())
            .filter(rank -> connections[rank] == null)
            .boxed()
            .toList();
    return Words.of(
        "%s did not connect to rank %d within %.1f s",
        CollectiveMismatch.words(late), self.rank(), patience.toMillis() / 1e3);
  }

  private List<Endpoint> endpoints(TcpRendezvous rendezvous, int port) throws IOException {
    Endpoint mine = new Endpoint(port, machine(), self.host(), MachineAddresses.all());
    List<byte[]> data = rendezvous.allGather(mine.bytes());
    List<Endpoint> endpoints = new ArrayList<>();
    for (int rank = 0; rank < self.size(); rank++) {
      Endpoint endpoint = Endpoint.of(data.get(rank));
      if (self.rank() == 0 && rank != 0) {
        endpoint =
            new Endpoint(
                endpoint.port, endpoint.machine, rendezvous.seenAt(rank), endpoint.addresses);
      }
      endpoints.add(Endpoint.of(rendezvous.broadcast(endpoint.bytes())));
    }
    return endpoints;
  }

  /** An identifier of the machine: equal for all its processes, different on other machines. */
  private static String machine() throws IOException {
    return Files.isReadable(BOOT)
        ? Files.readString(BOOT).strip()
        : InetAddress.getLocalHost().getHostName();
  }

  private Connection connect(int rank, Endpoint endpoint, Endpoint mine, long end)
      throws IOException, InterruptedException {
    List<String> tried = endpoint.from(mine);
    for (int i = 0; ; i = (i + 1) % tried.size()) {
      SocketChannel channel = SocketChannel.open();
      try {
        channel
            .socket()
            .connect(new InetSocketAddress(tried.get(i), endpoint.port()), CONNECT_MILLIS);
        return Connection.of(rank, channel, handshake.connect(channel.socket(), rank));
      } catch (IOException | CommunicationException e) {
        // Another machine's process may have answered, or strangers crowd the entrance.
        Handshake.close(channel);
        if (System.nanoTime() - end > 0) {
          throw new CommunicationException(
              "rank %s cannot reach rank %s by TCP at port %s of any of its addresses %s: %s",
              self.rank(), rank, endpoint.port(), tried, e.getMessage());
        }
        if (i == tried.size() - 1) {
          Thread.sleep(PAUSE_MILLIS);
        }
      }
    }
  }

  private void accept(ServerSocketChannel server, Entrance entrance) {
    while (server.isOpen()) {
      try {
        SocketChannel channel = server.accept();
        entrance.admit(
            channel.socket(),
            peer -> take(peer.rank(), Connection.of(peer.rank(), channel, peer.keys())));
      } catch (IOException _) {
        // The others are connected, this rank has given up, or a flood takes all files.
        LockSupport.parkNanos(PAUSE_MILLIS * 1_000_000L);
      }
    }
  }

  private synchronized void take(int rank, Connection connection) {
    if (closed) {
      connection.close();
    }
    connections[rank] = connection;
    missing.countDown();
  }

  synchronized void close() {
    closed = true;
    for (Connection connection : connections) {
      if (connection != null) {
        connection.close();
      }
    }
  }
}
