package panamoe.comm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.comm.tcp.TcpRendezvous;

/** {@link Heartbeat} of ranks in this process; MpiFailureTest kills real processes. */
@Timeout(300)
class HeartbeatTest {
  private static final Duration PATIENCE = Duration.ofMinutes(1);
  private static final Duration TIMEOUT = Duration.ofSeconds(1);
  // Kinds of messages.
  private static final int LEFT = 1;
  private static final int FAILED = 2;

  private final CompletableFuture<byte[]> address = new CompletableFuture<>();
  private final BlockingQueue<String> lost = new LinkedBlockingQueue<>();
  private final BlockingQueue<String> unnoticed = new LinkedBlockingQueue<>();

  @Test
  void allRanksGiveTheReasonThatRank0HeardFirst() {
    List<Heartbeat> ranks = open(4);
    assertNull(ranks.get(2).failure());
    String first = ranks.get(3).fail("rank 3 is tired");
    assertEquals("rank 3 is tired", first);
    assertEquals(first, ranks.get(1).fail("rank 1 too"));
    for (Heartbeat rank : ranks) {
      rank.awaitFailure(PATIENCE);
      assertEquals(first, rank.failure());
    }
  }

  @Test
  void everyoneHearsWhoHasLeft() throws InterruptedException {
    List<Heartbeat> ranks = open(3);
    ranks.get(1).leave();
    while (!ranks.get(0).hasLeft(1) || !ranks.get(2).hasLeft(1)) {
      Thread.sleep(1);
    }
    assertFalse(ranks.get(2).allLeft());
    ranks.get(0).leave();
    while (!ranks.get(2).allLeft()) {
      Thread.sleep(1);
    }
    assertNull(ranks.get(2).failure());
  }

  @Test
  void aRankThatNeverAsksHasAListener() throws InterruptedException {
    List<Heartbeat> ranks = open(2);
    ranks.get(1).fail("over");
    assertEquals("over", unnoticed.take());
    assertTrue(unnoticed.isEmpty(), "rank 1 knows it from its own call");
  }

  @Test
  void aLostRankIsToldToEveryOtherAtOnce() throws Exception {
    CompletableFuture<Heartbeat> rank0 = started(0, 3);
    CompletableFuture<Heartbeat> rank2 = started(2, 3);
    try (Socket _ = TcpRendezvous.connect(1, 3, PATIENCE, this::share).get(0)) {
      rank2.join();
      rank0.join();
      assertTrue(lost.isEmpty());
    }
    String gone = "rank 1 is gone: its process ended or was killed";
    assertEquals(gone, lost.take());
    assertEquals(gone, lost.take());
  }

  @Test
  void aFailureIsNoLostRank() {
    Heartbeat rank0 = open(2).getFirst();
    assertEquals("over", rank0.fail("over"));
    assertTrue(lost.isEmpty());
  }

  @Test
  void anInterruptDoesNotEndTheWaitForAVerdict() {
    Heartbeat rank1 = open(2).get(1);
    Thread.currentThread().interrupt();
    assertEquals("over", rank1.fail("over"));
    assertTrue(Thread.interrupted());
  }

  /** Between ranks that all call end. */
  @Test
  void aRank0ThatDiesWhileItWaitsForTheOthersIsNamed() throws Exception {
    List<Socket> ofRank0 = new ArrayList<>();
    List<Heartbeat> others = new ArrayList<>();
    try (ServerSocket server = new ServerSocket(0, 2, InetAddress.getLoopbackAddress())) {
      for (int rank = 1; rank < 3; rank++) {
        Socket toRank0 = new Socket(server.getInetAddress(), server.getLocalPort());
        ofRank0.add(server.accept());
        others.add(Heartbeat.over(Map.of(0, toRank0), rank, 3, PATIENCE, true, listener()));
      }
    }
    for (Socket socket : ofRank0) {
      say(socket, LEFT, 0, "");
    }
    while (!others.stream().allMatch(other -> other.hasLeft(0))) {
      Thread.sleep(1);
    }
    for (Socket socket : ofRank0) {
      socket.close();
    }
    for (Heartbeat other : others) {
      other.awaitFailure(PATIENCE);
      assertEquals("rank 0 is gone: its process ended or was killed", other.failure());
    }
  }

  /** Rank 0 may learn of a failure, and close, while the thread that heard it is still telling. */
  @Test
  void rank0ClosesOnlyAfterAllHaveHeardTheReason() throws Exception {
    CompletableFuture<Void> slow = new CompletableFuture<>();
    try (ServerSocket server = new ServerSocket(0, 2, InetAddress.getLoopbackAddress());
        Socket rank1 = new Socket(server.getInetAddress(), server.getLocalPort());
        SlowSocket to1 = new SlowSocket(server.accept(), slow);
        Socket rank2 = new Socket(server.getInetAddress(), server.getLocalPort())) {
      Map<Integer, Socket> star = Map.of(1, to1, 2, server.accept());
      Heartbeat rank0 = Heartbeat.over(star, 0, 3, Duration.ofMinutes(1), true, listener());
      say(rank1, FAILED, 1, "over"); // the ear of rank 1 tells rank 1 first, slowly
      while (rank0.failure() == null) {
        Thread.sleep(1);
      }
      Thread end = Thread.startVirtualThread(rank0::end);
      while (end.getState() != Thread.State.TIMED_WAITING && end.isAlive()) {
        Thread.sleep(1);
      }
      slow.complete(null);
      DataInputStream in = new DataInputStream(rank2.getInputStream());
      int kind = in.readByte();
      assertEquals(0, in.readInt());
      assertEquals("over", in.readUTF());
      assertEquals(FAILED, kind);
      end.join();
    }
  }

  private static void say(Socket to, int kind, int rank, String words) throws IOException {
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(to.getOutputStream()));
    out.writeByte(kind);
    out.writeInt(rank);
    out.writeUTF(words);
    out.flush();
  }

  /** A connection whose bytes wait until {@code free} completes. */
  private static final class SlowSocket extends Socket {
    private final Socket socket;
    private final CompletableFuture<Void> free;

    SlowSocket(Socket socket, CompletableFuture<Void> free) {
      this.socket = socket;
      this.free = free;
    }

    @Override
    public InputStream getInputStream() throws IOException {
      return socket.getInputStream();
    }

    @Override
    public OutputStream getOutputStream() throws IOException {
      OutputStream out = socket.getOutputStream();
      return new OutputStream() {
        @Override
        public void write(int value) throws IOException {
          free.join();
          out.write(value);
        }
      };
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  @Test
  void strangersAreNoRanks() throws IOException {
    CompletableFuture<Heartbeat> rank0 = CompletableFuture.supplyAsync(() -> rank(0, 2));
    String[] parts = new String(address.join(), StandardCharsets.UTF_8).split(" ");
    try (Socket stranger = new Socket(parts[2], Integer.parseInt(parts[1]))) {
      stranger.getOutputStream().write(new byte[20]);
      assertEquals(-1, stranger.getInputStream().read());
    }
    Heartbeat rank1 = rank(1, 2);
    assertEquals("hello", rank1.fail("hello"));
    rank0.join().awaitFailure(PATIENCE);
    assertEquals("hello", rank0.join().failure());
  }

  @Test
  void rank0SaysWhoDidNotConnect() {
    String message =
        assertThrows(
                CommunicationException.class,
                () -> TcpRendezvous.connect(0, 3, Duration.ofMillis(200), this::share))
            .getMessage();
    assertTrue(message.startsWith("ranks 1, 2 did not connect to rank 0 at "), message);
  }

  private List<Heartbeat> open(int size) {
    List<CompletableFuture<Heartbeat>> ranks =
        IntStream.range(0, size).mapToObj(rank -> started(rank, size)).toList();
    return ranks.stream().map(CompletableFuture::join).toList();
  }

  private CompletableFuture<Heartbeat> started(int rank, int size) {
    return CompletableFuture.supplyAsync(() -> rank(rank, size), Thread::startVirtualThread);
  }

  private Heartbeat rank(int rank, int size) {
    Map<Integer, Socket> star = TcpRendezvous.connect(rank, size, PATIENCE, this::share);
    return Heartbeat.over(star, rank, size, TIMEOUT, false, listener());
  }

  private Heartbeat.Listener listener() {
    return new Heartbeat.Listener() {
      @Override
      public void lost(String reason) {
        lost.add(reason);
      }

      @Override
      public void unnoticed(String reason) {
        unnoticed.add(reason);
      }
    };
  }

  private byte[] share(byte[] bytes) {
    if (bytes != null) {
      address.complete(bytes);
    }
    return address.join();
  }
}
