package panamoe.comm.tcp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.StreamCorruptedException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import javax.crypto.SecretKey;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import panamoe.comm.Communicator;
import panamoe.comm.CommunicatorContract;
import panamoe.comm.message.MessageException;
import panamoe.io.Words;
import panamoe.testkit.FreePort;

/** What an encrypted connection hides, and what it notices. */
@Timeout(60)
class EncryptionTest {
  private static final int RECORD_EXTRA = 20; // length and tag
  private static final int HEADER = 24;

  private static Handshake.Keys keys() {
    return new Handshake.Keys(
        new SecretKeySpec(new byte[16], "AES"), new SecretKeySpec(new byte[16], "AES"));
  }

  private static MemorySegment words(String text) {
    return MemorySegment.ofArray(text.getBytes(StandardCharsets.UTF_8));
  }

  private static void finish(Connection.Message message) {
    while (!message.done()) {
      message.requireNotRefused();
      Thread.onSpinWait();
    }
  }

  /** Sends each word as a message; returns each message's bytes on the network. */
  private static List<byte[]> sent(Handshake.Keys keys, int extra, String... words)
      throws IOException {
    try (Wire wire = Wire.open()) {
      Connection sender = Connection.of(1, wire.left(), keys);
      return Arrays.stream(words)
          .map(
              word -> {
                finish(sender.send(7, 2, words(word)));
                return wire.read(HEADER + word.length() + extra);
              })
          .toList();
    }
  }

  @Test
  void nobodyReadsWhatRanksSend() throws IOException {
    byte[] clear = sent(null, 0, "the weights of layer 3").getFirst();
    assertTrue(new String(clear, StandardCharsets.ISO_8859_1).contains("weights"));
    List<byte[]> twice =
        sent(keys(), RECORD_EXTRA, "the weights of layer 3", "the weights of layer 3");
    assertFalse(new String(twice.getFirst(), StandardCharsets.ISO_8859_1).contains("weights"));
    assertFalse(Arrays.equals(twice.get(0), twice.get(1)), "equal messages look different");
  }

  /** What someone on the network does to three messages. */
  private enum Attack {
    CHANGED_LENGTH {
      @Override
      List<byte[]> on(byte[] first, byte[] second, byte[] third) {
        first[3] ^= 1;
        return List.of(first, second, third);
      }
    },
    CHANGED {
      @Override
      List<byte[]> on(byte[] first, byte[] second, byte[] third) {
        first[10] ^= 1;
        return List.of(first, second, third);
      }
    },
    CHANGED_TAG {
      @Override
      List<byte[]> on(byte[] first, byte[] second, byte[] third) {
        first[first.length - 1] ^= 1;
        return List.of(first, second, third);
      }
    },
    REPEATED {
      @Override
      List<byte[]> on(byte[] first, byte[] second, byte[] third) {
        return List.of(first, first, second);
      }
    },
    DROPPED {
      @Override
      List<byte[]> on(byte[] first, byte[] second, byte[] third) {
        return List.of(second, third);
      }
    },
    SWAPPED {
      @Override
      List<byte[]> on(byte[] first, byte[] second, byte[] third) {
        return List.of(second, first, third);
      }
    };

    abstract List<byte[]> on(byte[] first, byte[] second, byte[] third);
  }

  @ParameterizedTest
  @EnumSource(Attack.class)
  void whatIsChangedOnTheWayIsNoticed(Attack attack) throws IOException {
    List<byte[]> sent = sent(keys(), RECORD_EXTRA, "one..", "two..", "three");
    try (Wire wire = Wire.open()) {
      Connection receiver = Connection.of(1, wire.left(), keys());
      attack.on(sent.get(0), sent.get(1), sent.get(2)).forEach(wire::write);
      MessageException thrown =
          assertThrows(
              MessageException.class,
              () -> {
                for (int i = 0; i < 3; i++) {
                  finish(receiver.receive(7, 2, MemorySegment.ofArray(new byte[5])));
                }
              });
      assertEquals(
          "the connection to rank 1 ended: its bytes were changed, repeated or lost on the way",
          thrown.getMessage());
    }
  }

  /** Many times what the sockets hold; every byte arrives, and memory does not grow with them. */
  @Test
  void largeMessagesNeedNoMemory() throws IOException {
    byte[] data = new byte[16 << 20];
    new Random(1).nextBytes(data);
    byte[] arrived = new byte[data.length];
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (Wire wire = Wire.open()) {
      Connection sender = Connection.of(1, wire.left(), keys());
      Connection receiver = Connection.of(0, wire.right(), keys());
      for (int turn = 0; turn < 2; turn++) {
        long before = threads.getCurrentThreadAllocatedBytes();
        Connection.Message sending = sender.send(0, 1, MemorySegment.ofArray(data));
        Connection.Message receiving = receiver.receive(0, 1, MemorySegment.ofArray(arrived));
        while (!(sending.done() & receiving.done())) {
          Thread.onSpinWait();
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        assertTrue(turn == 0 || allocated < data.length / 4, "allocated " + allocated);
      }
    }
    assertEquals(-1, MemorySegment.ofArray(data).mismatch(MemorySegment.ofArray(arrived)));
  }

  @Test
  void readingNothingWaitsForNothing() throws IOException {
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        SealedSocket socket = new SealedSocket()) {
      socket.connect(server.getLocalSocketAddress());
      socket.seal(keys());
      socket.setSoTimeout(1000);
      assertEquals(0, socket.getInputStream().read(new byte[1], 0, 0));
    }
  }

  /** After a number of records both sides make the next key from the last. */
  @Test
  void keysChangeOnBothSides() throws IOException {
    SecretKey key = new SecretKeySpec(new byte[16], "AES");
    Records sealing = Records.sealing(key, 64, 2);
    Records opening = Records.opening(key, 64, 2);
    Records forgetful = Records.opening(key, 64);
    for (long i = 0; i < 5; i++) {
      sealing.plain.clear().putLong(i).flip();
      sealing.seal();
      ByteBuffer record = sealing.sealed;
      opening.sealed.put(record.duplicate());
      assertTrue(opening.open());
      assertEquals(i, opening.plain.getLong());
      forgetful.sealed.clear().put(record.duplicate());
      if (i < 2) {
        assertTrue(forgetful.open());
      } else {
        assertThrows(StreamCorruptedException.class, forgetful::open);
      }
    }
  }

  /** The keys of a direction, a connection and a secret are all different. */
  @Test
  void everyDirectionHasItsOwnKey() {
    SecretKey secret =
        new SecretKeySpec(words("a secret of theirs").toArray(ValueLayout.JAVA_BYTE), "HmacSHA256");
    byte[] there = Records.key(secret, new byte[] {1}, "connecting").getEncoded();
    assertEquals(16, there.length);
    assertFalse(
        Arrays.equals(there, Records.key(secret, new byte[] {1}, "accepting").getEncoded()));
    assertFalse(
        Arrays.equals(there, Records.key(secret, new byte[] {2}, "connecting").getEncoded()));
  }

  /** The other side's setting is believed only after it has proved that it is a rank. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void allRanksEncryptOrNone(boolean rank0) {
    int port = FreePort.find();
    Duration timeout = Duration.ofMillis(300);
    CompletableFuture<Void> first = run(TcpRanks.rank(0, 2, port, rank0), timeout, world -> {});
    CompletableFuture<Void> second = run(TcpRanks.rank(1, 2, port, !rank0), timeout, world -> {});
    String sentence =
        (rank0 ? "rank 0 encrypts, but rank 1" : "rank 1 encrypts, but rank 0")
            + " does not: set PANAMOE_ENCRYPT to the same value on all ranks";
    assertEquals(sentence, failure(second));
    assertTrue(failure(first).endsWith(" within 1.8 s; refused: " + sentence), failure(first));
  }

  /** Someone changes one byte of what a rank sends to another after they have met. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aChangedHeartbeatEndsTheRunAndNamesThePeer(int sender) throws IOException {
    int port = FreePort.find();
    CountDownLatch met = new CountDownLatch(2);
    AtomicBoolean attack = new AtomicBoolean();
    CommunicatorContract.Body untilFailure =
        world -> {
          met.countDown();
          met.await();
          attack.set(true);
          while (world.failure() == null) {
            Thread.sleep(1);
          }
          world.barrier();
        };
    try (ServerSocket between = new ServerSocket(0, 2, InetAddress.getLoopbackAddress())) {
      Thread.startVirtualThread(() -> relay(between, port, sender, attack));
      Duration timeout = Duration.ofSeconds(30);
      CompletableFuture<Void> rank0 = run(TcpRanks.rank(0, 2, port, true), timeout, untilFailure);
      CompletableFuture<Void> rank1 =
          run(TcpRanks.rank(1, 2, between.getLocalPort(), true), timeout, untilFailure);
      String sentence =
          Words.of(
              "rank %s lost the connection to rank %s: its bytes were changed, repeated or lost on the way",
              1 - sender, sender);
      assertEquals(sentence, failure(rank0));
      assertEquals(sentence, failure(rank1));
    }
  }

  private static void relay(ServerSocket from, int to, int sender, AtomicBoolean attack) {
    while (!from.isClosed()) {
      try {
        Socket near = from.accept();
        Socket far = new Socket(InetAddress.getLoopbackAddress(), to);
        AtomicBoolean none = new AtomicBoolean();
        Thread.startVirtualThread(() -> copy(near, far, sender == 1 ? attack : none));
        Thread.startVirtualThread(() -> copy(far, near, sender == 0 ? attack : none));
      } catch (IOException _) {
        // Rank 0 does not listen yet: rank 1 comes again.
      }
    }
  }

  private static void copy(Socket from, Socket to, AtomicBoolean attack) {
    byte[] bytes = new byte[1024];
    try (from;
        to) {
      for (int count = from.getInputStream().read(bytes);
          count > 0;
          count = from.getInputStream().read(bytes)) {
        bytes[count - 1] ^= (byte) (attack.getAndSet(false) ? 1 : 0);
        to.getOutputStream().write(bytes, 0, count);
      }
    } catch (IOException _) {
      // The other direction has ended.
    }
  }

  private static CompletableFuture<Void> run(
      TcpRank self, Duration timeout, CommunicatorContract.Body body) {
    return CompletableFuture.runAsync(
        () -> {
          try (Communicator world = TcpWorld.open(self, timeout, lost -> {})) {
            body.run(world);
          } catch (RuntimeException e) {
            throw e;
          } catch (Exception e) {
            throw new AssertionError(e);
          }
        },
        work -> Thread.ofPlatform().start(work));
  }

  private static String failure(CompletableFuture<?> rank) {
    return assertThrows(CompletionException.class, rank::join).getCause().getMessage();
  }
}
