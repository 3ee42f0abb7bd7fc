package panamoe.comm.tcp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import panamoe.comm.Communicator;
import panamoe.testkit.FreePort;

/** Processes without the secret, at the port where ranks meet: they neither end nor delay a run. */
@Timeout(120)
class StrangersTest {
  private static final int STRANGERS = 400;
  private static final long GREETING = 0x50414e414d4f4502L;
  private static final int GREETING_BYTES = 33;
  private static final Duration PATIENT = Duration.ofMinutes(1);

  private final int port = FreePort.find();
  private final List<Socket> strangers = new ArrayList<>();

  @AfterEach
  void leave() {
    strangers.forEach(Handshake::close);
  }

  private CompletableFuture<Void> rank(int rank, int size) {
    return CompletableFuture.runAsync(
        () -> {
          try (Communicator world =
              TcpWorld.open(TcpRanks.rank(rank, size, port), PATIENT, lost -> {})) {
            world.barrier();
          }
        },
        work -> Thread.ofPlatform().start(work));
  }

  private Socket stranger() throws IOException {
    for (; ; ) {
      Socket socket = new Socket();
      try {
        socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        strangers.add(socket);
        return socket;
      } catch (IOException _) {
        socket.close(); // rank 0 does not listen yet
      }
    }
  }

  private static int read(Socket socket) throws IOException {
    try {
      return socket.getInputStream().read();
    } catch (SocketException _) {
      return -1; // the connection was reset
    }
  }

  /** The oldest strangers lose their places; ranks come between hundreds of them. */
  @Test
  void aFloodKeepsNobodyOut() throws IOException {
    CompletableFuture<Void> rank0 = rank(0, 3);
    for (int i = 0; i < STRANGERS; i++) {
      stranger().getOutputStream().write(0x50); // a greeting's first byte
    }
    for (Socket gone : strangers.subList(0, STRANGERS - Entrance.PLACES_OF_ADDRESS)) {
      assertEquals(-1, read(gone));
    }
    List<Socket> first = List.copyOf(strangers);
    Thread slow = Thread.startVirtualThread(() -> sendSlowly(first));
    CompletableFuture<Void> rank1 = rank(1, 3);
    for (int i = 0; i < STRANGERS; i++) {
      stranger();
    }
    CompletableFuture<Void> rank2 = rank(2, 3);
    rank0.join();
    rank1.join();
    rank2.join();
    slow.interrupt();
    for (Socket socket : strangers) {
      while (read(socket) >= 0) {} // closed since the ranks have met
    }
  }

  private void sendSlowly(List<Socket> from) {
    for (Socket socket : from) {
      try {
        Thread.sleep(1);
        socket.getOutputStream().write(0x41);
      } catch (IOException _) {
        // It was one too many.
      } catch (InterruptedException _) {
        return;
      }
    }
  }

  /** The oldest of all lose their places, wherever they come from. */
  @Test
  void hostsTogetherHaveFewPlaces() throws IOException {
    TcpRank self = TcpRanks.rank(0, 2, port);
    List<Socket> accepted = new ArrayList<>();
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        Entrance entrance = new Entrance(self, new Handshake(self, PATIENT))) {
      int port = server.getLocalPort();
      for (int i = 0; i < Entrance.PLACES + 20; i++) {
        InetAddress from = InetAddress.getByName("127.0.0." + (i < 10 ? 20 : 2 + i % 9));
        strangers.add(new Socket(server.getInetAddress(), port, from, 0));
        accepted.add(server.accept());
        entrance.admit(accepted.getLast(), peer -> {});
      }
      for (int i = 0; i < accepted.size(); i++) {
        assertEquals(i < 20, accepted.get(i).isClosed(), "connection " + i);
      }
    }
  }

  @Test
  void aHostHasOnePlaceForAllItsAddresses() throws IOException {
    ByteBuffer one = Entrance.host(InetAddress.getByName("2001:db8:1:2::3"));
    assertEquals(one, Entrance.host(InetAddress.getByName("2001:db8:1:2:4:5:6:7")));
    assertNotEquals(one, Entrance.host(InetAddress.getByName("2001:db8:1:3::3")));
    assertNotEquals(
        Entrance.host(InetAddress.getByName("10.0.0.1")),
        Entrance.host(InetAddress.getByName("10.0.0.2")));
  }

  /** Rank 0 may hold a connection that the rank has given up: the rank comes again. */
  @Test
  void aRankThatIsTakenComesAgain() throws IOException {
    CompletableFuture<Void> rank1;
    try (ServerSocket server = new ServerSocket()) {
      server.setReuseAddress(true);
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      rank1 = rank(1, 2);
      try (Socket rank = server.accept()) {
        Handshake handshake = new Handshake(TcpRanks.rank(0, 2, port), PATIENT);
        assertThrows(Handshake.Refused.class, () -> handshake.accept(rank, _ -> false));
      }
    }
    CompletableFuture<Void> rank0 = rank(0, 2);
    rank1.join();
    rank0.join();
  }

  /** How a process answers that claims to be rank 0 and does not know the secret. */
  private enum Claim {
    ANOTHER_PROTOCOL(2, 0),
    ANOTHER_SIZE(5, 3),
    ANOTHER_SECRET(2, 2),
    TAKEN(2, 4),
    ITS_OWN_PROOF(2, 0);

    final int size;
    final int answer;

    Claim(int size, int answer) {
      this.size = size;
      this.answer = answer;
    }

    void make(Socket to) throws IOException {
      DataInputStream in = new DataInputStream(to.getInputStream());
      in.readNBytes(GREETING_BYTES);
      OutputStream out = to.getOutputStream();
      out.write(
          ByteBuffer.allocate(GREETING_BYTES)
              .putLong(this == ANOTHER_PROTOCOL ? 0 : GREETING)
              .putInt(0)
              .putInt(size)
              .array());
      byte[] proof = in.readNBytes(32);
      out.write(answer);
      out.write(this == ITS_OWN_PROOF ? proof : new byte[32]);
      in.read(); // until the rank leaves
    }
  }

  /** It answers at the port before the real one, which comes when it has gone. */
  @ParameterizedTest
  @EnumSource(Claim.class)
  void aFalseRank0EndsNothing(Claim claim) throws IOException {
    CompletableFuture<Void> rank1;
    try (ServerSocket server = new ServerSocket()) {
      server.setReuseAddress(true);
      server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      rank1 = rank(1, 2);
      for (int times = 0; times < 2; times++) { // it comes again
        try (Socket rank = server.accept()) {
          claim.make(rank);
        } catch (SocketException _) {
          // The rank has left in the middle.
        }
      }
    }
    CompletableFuture<Void> rank0 = rank(0, 2);
    rank1.join();
    rank0.join();
  }
}
