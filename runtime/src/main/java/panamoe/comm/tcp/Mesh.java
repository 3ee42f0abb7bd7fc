package panamoe.comm.tcp;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
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
import java.util.stream.IntStream;
import panamoe.comm.CollectiveMismatch;
import panamoe.comm.CommunicationException;
import panamoe.comm.MachineAddresses;
import panamoe.io.Words;

/** Connects every two ranks; each rank connects to those below it. */
final class Mesh {
  private static final int CONNECT_MILLIS = 2000;
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
  private final SocketChannel[] channels; // by rank; null for this one
  private final int[] nodes;
  private final CountDownLatch missing;
  private boolean closed;

  private Mesh(TcpRank self, Handshake handshake) {
    this.self = self;
    this.handshake = handshake;
    this.channels = new SocketChannel[self.size()];
    this.nodes = new int[self.size()];
    this.missing = new CountDownLatch(self.size() - 1 - self.rank());
  }

  SocketChannel[] channels() {
    return channels;
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
    try (ServerSocketChannel server = ServerSocketChannel.open()) {
      boolean near = InetAddress.getByName(self.host()).isLoopbackAddress();
      server.bind(
          near ? new InetSocketAddress(InetAddress.getLoopbackAddress(), 0) : null, self.size());
      List<Endpoint> endpoints = endpoints(rendezvous, server.socket().getLocalPort());
      List<String> machines = endpoints.stream().map(Endpoint::machine).toList();
      Arrays.setAll(nodes, rank -> machines.indexOf(machines.get(rank)));
      Thread.startVirtualThread(() -> accept(server));
      for (int rank = 0; rank < self.rank(); rank++) {
        channels[rank] = connect(rank, endpoints.get(rank), endpoints.get(self.rank()));
      }
      if (!missing.await(patience.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new CommunicationException(late(patience));
      }
    }
    for (SocketChannel channel : channels) {
      if (channel != null) {
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
        channel.configureBlocking(false);
      }
    }
  }

  private synchronized String late(Duration patience) {
    List<Integer> late =
        IntStream.range(self.rank() + 1, self.size())
            .filter(rank -> channels[rank] == null)
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

  private SocketChannel connect(int rank, Endpoint endpoint, Endpoint mine) throws IOException {
    List<String> tried = endpoint.from(mine);
    for (String address : tried) {
      SocketChannel channel = SocketChannel.open();
      try {
        channel.socket().connect(new InetSocketAddress(address, endpoint.port()), CONNECT_MILLIS);
        handshake.connect(channel.socket(), self.rank(), rank);
        return channel;
      } catch (IOException | CommunicationException _) {
        // Another machine's process may have answered; the next address may be the right one.
        Handshake.close(channel);
      }
    }
    throw new CommunicationException(
        "rank %s cannot reach rank %s by TCP at port %s of any of its addresses %s",
        self.rank(), rank, endpoint.port(), tried);
  }

  private void accept(ServerSocketChannel server) {
    try {
      while (missing.getCount() > 0) {
        SocketChannel channel = server.accept();
        // A stranger that sends nothing does not delay the others.
        Thread.startVirtualThread(() -> admit(channel));
      }
    } catch (IOException _) {
      // The others are connected, or this rank has given up.
    }
  }

  private void admit(SocketChannel channel) {
    try {
      int rank = handshake.accept(channel.socket(), self.rank());
      if (!take(rank, channel)) {
        throw new Handshake.Refused("rank " + rank + " is not expected");
      }
      missing.countDown();
    } catch (IOException _) {
      Handshake.close(channel);
    }
  }

  /** Accepts a rank that is expected. */
  private synchronized boolean take(int rank, SocketChannel channel) throws IOException {
    if (closed || rank <= self.rank() || rank >= self.size() || channels[rank] != null) {
      return false;
    }
    Handshake.welcome(channel.socket());
    channels[rank] = channel;
    return true;
  }

  synchronized void close() {
    closed = true;
    for (SocketChannel channel : channels) {
      if (channel != null) {
        Handshake.close(channel);
      }
    }
  }
}
