package panamoe.comm.tcp;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.DataOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.comm.message.MessageException;
import panamoe.testkit.FreePort;

/** How much the other side of a connection can make a rank read and keep. */
@Timeout(60)
class LimitsTest {
  private static final int GREETING_AND_PROOF = 65;
  private static final long TERABYTE = 1L << 40;

  private static byte[] header(long group, long tag, long bytes) {
    return ByteBuffer.allocate(24).putLong(group).putLong(tag).putLong(bytes).array();
  }

  /** A stranger who sends more than a rank would. */
  @Test
  void beforeTheProofFewBytesAreRead() throws IOException {
    try (Wire wire = Wire.open()) {
      byte[] flood = new byte[1000];
      ByteBuffer.wrap(flood).putLong(0x50414e414d4f4502L);
      wire.write(flood);
      Handshake handshake = new Handshake(TcpRanks.rank(0, 2, 1), Duration.ofDays(1));
      assertThrows(
          Handshake.Refused.class, () -> handshake.accept(wire.left().socket(), rank -> true));
      ByteBuffer rest = ByteBuffer.allocate(2 * flood.length);
      wire.left().configureBlocking(false);
      wire.left().read(rest);
      assertEquals(flood.length - GREETING_AND_PROOF, rest.position());
    }
  }

  /** Single bytes do not prolong the deadline. */
  @Test
  void aSlowStrangerIsRefusedAtTheDeadline() throws IOException {
    try (Wire wire = Wire.open()) {
      byte[] greeting = ByteBuffer.allocate(Long.BYTES).putLong(0x50414e414d4f4502L).array();
      Thread slow =
          Thread.startVirtualThread(
              () -> {
                for (byte next : greeting) {
                  wire.write(new byte[] {next});
                }
              });
      Handshake handshake = new Handshake(TcpRanks.rank(0, 2, 1), Duration.ofMillis(200));
      Handshake.Refused refused =
          assertThrows(
              Handshake.Refused.class, () -> handshake.accept(wire.left().socket(), rank -> true));
      assertTrue(
          refused.getMessage().endsWith(" did not prove within 0.2 s that it is a rank"),
          refused.getMessage());
      slow.join();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** A process that knows the secret. */
  @Test
  void afterTheProofALongMessageIsRefused() throws IOException {
    int port = FreePort.find();
    CompletableFuture<Void> rank0 =
        CompletableFuture.runAsync(
            () -> TcpWorld.open(TcpRanks.rank(0, 2, port), Duration.ofSeconds(30), lost -> {}),
            work -> Thread.ofPlatform().start(work));
    try (SealedSocket rank1 = connected(port)) {
      new Handshake(TcpRanks.rank(1, 2, port), Duration.ofDays(1)).connect(rank1, 0);
      new DataOutputStream(rank1.getOutputStream()).writeInt(Integer.MAX_VALUE);
      assertEquals(
          "rank 0 lost rank 1 while all were connecting: it sent a message of 2147483647 bytes",
          assertThrows(CompletionException.class, rank0::join).getCause().getMessage());
    }
  }

  private static SealedSocket connected(int port) {
    for (; ; ) {
      SealedSocket socket = new SealedSocket();
      try {
        socket.connect(new InetSocketAddress("localhost", port));
        return socket;
      } catch (IOException _) {
        Handshake.close(socket); // rank 0 does not listen yet
      }
    }
  }

  private static void finish(Connection.Message message) {
    while (!message.done()) {
      message.requireNotRefused();
      Thread.onSpinWait();
    }
  }

  private static void assertRefused(Connection.Message message, long bytes) {
    assertEquals(
        "rank 1 sent a message of " + bytes + " bytes where at most 8 were expected",
        assertThrows(MessageException.class, () -> finish(message)).getMessage());
  }

  @Test
  void aMessageLongerThanTheAwaitedOneIsRefused() throws IOException {
    try (Wire wire = Wire.open()) {
      Connection connection = Connection.of(1, wire.left(), null);
      Connection.Message awaited =
          connection.receive(0, 2, MemorySegment.ofArray(new byte[Long.BYTES]));
      wire.write(header(0, 2, TERABYTE));
      assertRefused(awaited, TERABYTE);
    }
  }

  /** It keeps what came, not what its header says. */
  @Test
  void aMessageThatNobodyAwaitsYetTakesNoMemory() throws IOException {
    try (Wire wire = Wire.open()) {
      Connection connection = Connection.of(1, wire.left(), null);
      Connection.Message another = connection.receive(0, 1, MemorySegment.ofArray(new byte[8]));
      wire.write(header(0, 2, TERABYTE));
      // Until the header has been read: then another message of this length would be the next one.
      for (int polls = 0; polls < 100; polls++) {
        another.done();
      }
      assertRefused(connection.receive(0, 2, MemorySegment.ofArray(new byte[8])), TERABYTE);
    }
  }

  /** The bytes of a refused message do not hide those that follow it. */
  @Test
  void theNextMessageArrives() throws IOException {
    try (Wire wire = Wire.open()) {
      Connection connection = Connection.of(1, wire.left(), null);
      Connection.Message refused = connection.receive(0, 2, MemorySegment.ofArray(new byte[8]));
      byte[] next = new byte[8];
      Connection.Message awaited = connection.receive(0, 1, MemorySegment.ofArray(next));
      Thread sending =
          Thread.startVirtualThread(
              () -> {
                wire.write(header(0, 2, 3_000_000));
                wire.write(new byte[3_000_000]);
                wire.write(header(0, 1, 8));
                wire.write(new byte[] {1, 2, 3, 4, 5, 6, 7, 8});
              });
      assertRefused(refused, 3_000_000);
      finish(awaited);
      assertArrayEquals(new byte[] {1, 2, 3, 4, 5, 6, 7, 8}, next);
      sending.join();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Its buffer grows with its bytes. */
  @Test
  void aLongMessageThatComesEarlyArrives() throws IOException {
    try (Wire wire = Wire.open()) {
      Connection sender = Connection.of(0, wire.right(), null);
      Connection receiver = Connection.of(1, wire.left(), null);
      byte[] data = new byte[9_000_000];
      new Random(1).nextBytes(data);
      Connection.Message early = sender.send(0, 2, MemorySegment.ofArray(data));
      Connection.Message then = sender.send(0, 1, MemorySegment.ofArray(new byte[8]));
      Connection.Message another = receiver.receive(0, 1, MemorySegment.ofArray(new byte[8]));
      while (!(early.done() & then.done() & another.done())) {
        Thread.onSpinWait();
      }
      byte[] arrived = new byte[data.length];
      finish(receiver.receive(0, 2, MemorySegment.ofArray(arrived)));
      assertArrayEquals(data, arrived);
    }
  }
}
