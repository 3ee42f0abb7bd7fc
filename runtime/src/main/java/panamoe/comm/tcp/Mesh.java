package panamoe.comm.tcp;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import panamoe.comm.CommunicationException;
import panamoe.comm.MachineAddresses;

/** Connects every two ranks; each connects to those below it. */
final class Mesh {
  private static final int CONNECT_MILLIS = 2000;
  private static final Path BOOT = Path.of("/proc/sys/kernel/random/boot_id");

  /**
   * What a rank tells the others: the port at which it listens, its machine, its addresses.
   *
   * @param machine a name without spaces
   */
  private record Place(int port, String machine, List<String> addresses) {
    byte[] bytes() {
      return (port + " " + machine + " " + String.join(" ", addresses))
          .getBytes(StandardCharsets.UTF_8);
    }

    static Place of(byte[] bytes) {
      List<String> words = List.of(new String(bytes, StandardCharsets.UTF_8).split(" "));
      return new Place(
          Integer.parseInt(words.get(0)), words.get(1), words.subList(2, words.size()));
    }

    Place alsoAt(String address) {
      List<String> all = new ArrayList<>(addresses);
      all.add(address);
      return new Place(port, machine, all);
    }
  }

  /** By rank; null for this one. */
  private final SocketChannel[] channels;

  /** The lowest rank on each rank's machine. */
  private final int[] nodes;

  private Mesh(SocketChannel[] channels, int[] nodes) {
    this.channels = channels;
    this.nodes = nodes;
  }

  SocketChannel[] channels() {
    return channels;
  }

  /** The lowest rank on this rank's machine. */
  int node(int rank) {
    return nodes[rank];
  }

  /**
   * Connects this rank with all others; collective.
   *
   * @throws CommunicationException in one sentence, if a rank cannot be reached
   */
  static Mesh connect(TcpRank self, Handshake handshake, Gathering gathering, Duration patience) {
    SocketChannel[] channels = new SocketChannel[self.size()];
    try (ServerSocketChannel server = ServerSocketChannel.open()) {
      boolean near = InetAddress.getByName(self.host()).isLoopbackAddress();
      server.bind(
          near ? new InetSocketAddress(InetAddress.getLoopbackAddress(), 0) : null, self.size());
      List<Place> places = places(self, gathering, server.socket().getLocalPort());
      CompletableFuture<Void> accepted =
          CompletableFuture.runAsync(
              () -> accept(self, handshake, server, channels),
              work -> Thread.ofVirtual().start(work));
      for (int rank = 0; rank < self.rank(); rank++) {
        channels[rank] = connect(self, handshake, rank, places.get(rank));
      }
      accepted.get(patience.toMillis(), TimeUnit.MILLISECONDS);
      for (SocketChannel channel : channels) {
        if (channel != null) {
          channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
          channel.configureBlocking(false);
        }
      }
      List<String> machines = places.stream().map(Place::machine).toList();
      return new Mesh(channels, machines.stream().mapToInt(machines::indexOf).toArray());
    } catch (TimeoutException | ExecutionException | IOException e) {
      close(channels);
      throw new CommunicationException(
          "not all ranks above rank " + self.rank() + " connected to it: " + e, e);
    } catch (InterruptedException e) {
      close(channels);
      Thread.currentThread().interrupt();
      throw new CommunicationException(
          "rank " + self.rank() + " was interrupted while it waited for the others", e);
    } catch (CommunicationException e) {
      close(channels);
      throw e;
    }
  }

  private static List<Place> places(TcpRank self, Gathering gathering, int port)
      throws IOException {
    Place mine = new Place(port, machine(), MachineAddresses.all());
    List<byte[]> told = gathering.allGather(mine.bytes());
    List<Place> places = new ArrayList<>();
    for (int rank = 0; rank < self.size(); rank++) {
      Place place = Place.of(told.get(rank));
      if (self.rank() == 0) {
        // Outside of a container or a private network, a machine has addresses that it does not
        // know.
        place = place.alsoAt(rank == 0 ? self.host() : gathering.seenAt(rank));
      }
      places.add(Place.of(gathering.broadcast(place.bytes())));
    }
    return places;
  }

  /** The same for all processes on a machine, and on no other one. */
  private static String machine() throws IOException {
    return Files.isReadable(BOOT)
        ? Files.readString(BOOT).strip()
        : InetAddress.getLocalHost().getHostName();
  }

  private static SocketChannel connect(TcpRank self, Handshake handshake, int rank, Place place) {
    for (String address : place.addresses()) {
      SocketChannel channel = null;
      try {
        channel = SocketChannel.open();
        channel.socket().connect(new InetSocketAddress(address, place.port()), CONNECT_MILLIS);
        handshake.connect(channel.socket(), self.rank(), rank);
        return channel;
      } catch (IOException | CommunicationException _) {
        // Another machine's process may have answered; the next address may be the right one.
        close(channel);
      }
    }
    throw new CommunicationException(
        "rank "
            + self.rank()
            + " cannot reach rank "
            + rank
            + " by TCP at port "
            + place.port()
            + " of any of its addresses "
            + place.addresses());
  }

  private static void accept(
      TcpRank self, Handshake handshake, ServerSocketChannel server, SocketChannel[] channels) {
    int missing = self.size() - 1 - self.rank();
    while (missing > 0) {
      SocketChannel channel = null;
      try {
        channel = server.accept();
        Socket socket = channel.socket();
        int other =
            handshake.accept(
                socket,
                self.rank(),
                rank -> rank > self.rank() && rank < self.size() && channels[rank] == null);
        channels[other] = channel;
        missing--;
      } catch (IOException e) {
        close(channel);
        if (!server.isOpen()) {
          throw new CommunicationException("waiting for them ended", e);
        }
      }
    }
  }

  private static void close(SocketChannel... channels) {
    for (SocketChannel channel : channels) {
      try {
        if (channel != null) {
          channel.close();
        }
      } catch (IOException _) {
        // Nothing is sent over it any more.
      }
    }
  }
}
