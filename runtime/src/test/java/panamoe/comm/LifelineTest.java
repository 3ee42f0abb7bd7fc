package panamoe.comm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Lifelines of ranks that are all in this process. Deaths are tested with real processes under mpirun. */
@Timeout(30)
class LifelineTest {
  private static final Duration PATIENCE = Duration.ofSeconds(10);
  private static final Duration TIMEOUT = Duration.ofSeconds(1);

  private final CompletableFuture<byte[]> address = new CompletableFuture<>();
  private final BlockingQueue<String> lastResorts = new LinkedBlockingQueue<>();

  @Test
  void allRanksGiveTheReasonThatRank0HeardFirst() {
    List<Lifeline> ranks = open(4);
    assertNull(ranks.get(2).failure());
    String first = ranks.get(3).fail("rank 3 is tired");
    assertEquals("rank 3 is tired", first);
    assertEquals(first, ranks.get(1).fail("rank 1 too"));
    for (Lifeline rank : ranks) {
      rank.awaitFailure(PATIENCE);
      assertEquals(first, rank.failure());
    }
  }

  @Test
  void everyoneHearsWhoHasLeft() throws InterruptedException {
    List<Lifeline> ranks = open(3);
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
  void whoNeverAsksIsToldByTheLastResort() throws InterruptedException {
    List<Lifeline> ranks = open(2);
    ranks.get(1).fail("over");
    assertEquals("over", lastResorts.take());
    assertTrue(lastResorts.isEmpty(), "rank 1 knows it from its own call");
  }

  @Test
  void strangersAreNoRanks() throws IOException {
    CompletableFuture<Lifeline> rank0 = CompletableFuture.supplyAsync(() -> rank(0, 2));
    String[] parts = new String(address.join(), StandardCharsets.UTF_8).split(" ");
    try (Socket stranger = new Socket(parts[2], Integer.parseInt(parts[1]))) {
      stranger.getOutputStream().write(new byte[20]);
      assertEquals(-1, stranger.getInputStream().read());
    }
    Lifeline rank1 = rank(1, 2);
    assertEquals("hello", rank1.fail("hello"));
    rank0.join().awaitFailure(PATIENCE);
    assertEquals("hello", rank0.join().failure());
  }

  @Test
  void rank0SaysHowManyDidNotConnect() {
    String message =
        assertThrows(
                CommunicationException.class,
                () -> Lifeline.open(0, 3, Duration.ofMillis(200), TIMEOUT, this::share, lastResorts::add))
            .getMessage();
    assertTrue(message.startsWith("rank 0 heard from 0 of 2 other ranks by TCP"), message);
  }

  private List<Lifeline> open(int size) {
    List<CompletableFuture<Lifeline>> ranks =
        IntStream.range(0, size)
            .mapToObj(rank -> CompletableFuture.supplyAsync(() -> rank(rank, size), Thread::startVirtualThread))
            .toList();
    return ranks.stream().map(CompletableFuture::join).toList();
  }

  private Lifeline rank(int rank, int size) {
    return Lifeline.open(rank, size, PATIENCE, TIMEOUT, this::share, lastResorts::add);
  }

  private byte[] share(byte[] bytes) {
    if (bytes != null) {
      address.complete(bytes);
    }
    return address.join();
  }
}
