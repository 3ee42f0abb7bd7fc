package panamoe.comm.tcp;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.checkpoint.ArenaMemory;
import panamoe.comm.CommunicationException;
import panamoe.comm.Communicator;
import panamoe.comm.CommunicatorContract;
import panamoe.tensor.DType;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;
import panamoe.testkit.FreePort;

/** When a rank of a {@link TcpWorld} fails, or does not belong to it, all ranks report it. */
@Timeout(120)
class TcpFailureTest {
  private static final Duration PATIENT = Duration.ofSeconds(30);
  private static final Duration IMPATIENT = Duration.ofSeconds(2);

  private static void assertAllSay(
      String sentence, int ranks, Duration timeout, CommunicatorContract.Body body) {
    for (Throwable thrown : TcpRanks.run(ranks, timeout, body)) {
      assertEquals(sentence, thrown == null ? null : thrown.getMessage());
    }
  }

  @Test
  void differentSizesAreNamed() {
    assertAllSay(
        "world: rank 1 called allReduce FLOAT32 of 5 at layer 3, "
            + "but ranks 0, 2 called allReduce FLOAT32 of 4 at layer 3",
        3,
        PATIENT,
        world -> {
          world.at("layer 3");
          try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
            world.allReduce(scope.zeros(DType.FLOAT32, world.rank() == 1 ? 5 : 4));
          }
        });
  }

  /** The rows follow their frame, because they do not fit into it, and are more than expected. */
  @Test
  void rowsThatAreNotExpectedAreNamed() {
    assertAllSay(
        "world: rank 1 sends 2001 rows to rank 0, which expects 2000",
        2,
        PATIENT,
        world -> {
          try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
            Tensor rows = scope.zeros(DType.FLOAT32, 4001, 4);
            long[] send = {world.rank() == 1 ? 2001 : 2000, 2000};
            world.allToAll(
                rows, send, scope.zeros(DType.FLOAT32, 4000, 4), new long[] {2000, 2000});
            world.barrier();
          }
        });
  }

  @Test
  void aRankThatDoesNotComeIsNamed() {
    List<Throwable> thrown =
        TcpRanks.run(
            3,
            IMPATIENT,
            world -> {
              while (world.rank() == 2 && world.failure() == null) {
                Thread.sleep(10);
              }
              world.barrier();
            });
    for (Throwable of : thrown) {
      assertTrue(
          of.getMessage()
              .matches(
                  "rank 2 did not come within \\d+\\.\\d s; rank [01] waits in"
                      + " barrier of world"),
          of.getMessage());
    }
  }

  @Test
  void aRankThatLeavesIsNamed() {
    assertAllSay(
        "rank 1 closed the world, but rank 0 waits in barrier of world",
        2,
        PATIENT,
        world -> {
          if (world.rank() == 0) {
            world.barrier();
          } else {
            world.close();
          }
        });
  }

  @Test
  void anAbortEndsTheWaiting() {
    assertAllSay(
        "rank 1 aborted: no more tokens",
        3,
        PATIENT,
        world -> {
          if (world.rank() == 1) {
            world.abort("no more tokens");
          }
          world.barrier();
        });
  }

  @Test
  void anInterruptedRankIsNamed() {
    List<Throwable> thrown =
        TcpRanks.run(
            2,
            PATIENT,
            world -> {
              if (world.rank() == 1) {
                Thread.currentThread().interrupt();
              } else {
                Thread.sleep(300);
              }
              world.barrier();
            });
    for (Throwable of : thrown) {
      assertEquals("rank 1 was interrupted in barrier of world", of.getMessage());
    }
  }

  /**
   * After a failure no thread or socket of the world remains, and the process can be a rank again.
   */
  @Test
  void anotherWorldComesAfterAFailedOne() {
    assertAllSay(
        "rank 0 aborted: once",
        2,
        PATIENT,
        world -> {
          if (world.rank() == 0) {
            world.abort("once");
          }
          world.barrier();
        });
    for (Throwable thrown : TcpRanks.run(2, PATIENT, Communicator::barrier)) {
      assertNull(thrown);
    }
  }

  private static String failure(CompletableFuture<?> rank) {
    Throwable thrown = assertThrows(CompletionException.class, rank::join).getCause();
    return assertThrows(
            CommunicationException.class,
            () -> {
              throw thrown;
            })
        .getMessage();
  }

  private static CompletableFuture<Void> open(TcpRank self, Duration timeout) {
    return CompletableFuture.runAsync(
        () -> TcpWorld.open(self, timeout, lost -> {}).close(),
        work -> Thread.ofPlatform().start(work));
  }

  @Test
  void whoDoesNotKnowTheSecretIsRefused() {
    int port = FreePort.find();
    CompletableFuture<Void> rank0 = open(TcpRanks.rank(0, 2, port), Duration.ofMillis(300));
    CompletableFuture<Void> rank1 =
        open(
            new TcpRank(1, 2, "localhost", port, "something else here", false),
            Duration.ofMillis(300));
    assertTrue(
        failure(rank1)
            .matches(
                "rank 1 cannot reach rank 0 at localhost:\\d+ within 1\\.8 s: "
                    + "rank 1 has another secret than the process that answers at .*"));
    assertTrue(
        failure(rank0)
            .matches(
                "rank 1 did not connect to rank 0 at localhost:\\d+ within 1\\.8 s; "
                    + "refused: a connection from .* has another secret"));
  }

  /** Rank 1 waits for rank 0, which has not failed: another rank is missing. */
  @ParameterizedTest
  @CsvSource({"false, ''", "true, '; refused: a connection from .* as rank 2 has another secret'"})
  void whoDoesNotComeIsNamedByAll(boolean another, String refused) {
    int port = FreePort.find();
    Duration timeout = Duration.ofMillis(300);
    List<CompletableFuture<Void>> ranks =
        List.of(open(TcpRanks.rank(0, 3, port), timeout), open(TcpRanks.rank(1, 3, port), timeout));
    if (another) {
      failure(open(new TcpRank(2, 3, "localhost", port, "something else here", false), timeout));
    }
    for (CompletableFuture<Void> rank : ranks) {
      String said = failure(rank);
      assertTrue(
          said.matches(
              "rank 2 did not connect to rank 0 at localhost:\\d+ within 1\\.8 s" + refused),
          said);
    }
  }

  /** The rank reaches rank 0, but cannot connect to its second port. */
  @Test
  void whoFailsWhileAllConnectIsNamedByAll() {
    int port = FreePort.find();
    Duration timeout = Duration.ofMillis(500);
    List<CompletableFuture<Void>> ranks =
        List.of(
            open(TcpRanks.rank(0, 3, port), timeout),
            CompletableFuture.runAsync(
                () -> {
                  Thread.currentThread().interrupt(); // closes its channels to the other ranks
                  TcpWorld.open(TcpRanks.rank(1, 3, port), timeout, lost -> {}).close();
                },
                work -> Thread.ofPlatform().start(work)),
            open(TcpRanks.rank(2, 3, port), timeout));
    for (CompletableFuture<Void> rank : ranks) {
      assertTrue(failure(rank).contains("rank 1 "), () -> failure(rank));
    }
  }

  @Test
  void aRankOfAnotherWorldIsRefused() {
    int port = FreePort.find();
    CompletableFuture<Void> rank0 = open(TcpRanks.rank(0, 2, port), Duration.ofMillis(300));
    CompletableFuture<Void> rank1 = open(TcpRanks.rank(1, 3, port), PATIENT);
    assertEquals("rank 1 is of 3 ranks, but rank 0 of 2", failure(rank1));
    assertTrue(
        failure(rank0).endsWith("; refused: rank 1 is of 3 ranks, but rank 0 of 2"),
        () -> failure(rank0));
  }

  @Test
  void aRankThatComesTwiceIsRefusedAndTheFirstStays() {
    int port = FreePort.find();
    CompletableFuture<Void> rank0 = open(TcpRanks.rank(0, 3, port), Duration.ofMillis(500));
    CompletableFuture<Void> first = open(TcpRanks.rank(1, 3, port), Duration.ofMillis(500));
    CompletableFuture<Void> second = open(TcpRanks.rank(1, 3, port), Duration.ofMillis(500));
    List<String> ofRank1 = List.of(failure(first), failure(second));
    assertEquals(
        1,
        ofRank1.stream()
            .filter(each -> each.startsWith("rank 1 cannot reach rank 0 at localhost:" + port))
            .filter(each -> each.endsWith(": another process is rank 1 already"))
            .count(),
        ofRank1::toString);
    assertTrue(failure(rank0).contains("rank 2 did not connect"), () -> failure(rank0));
    assertTrue(failure(rank0).endsWith("a process claims to be rank 1, too"));
  }

  @Test
  void strangersAtThePortAreNoRanks() throws IOException {
    int port = FreePort.find();
    CompletableFuture<Void> rank0 = open(TcpRanks.rank(0, 2, port), PATIENT);
    try (Socket stranger = stranger(port)) {
      stranger.getOutputStream().write("GET / HTTP/1.1\r\n\r\n".getBytes());
      assertEquals(-1, stranger.getInputStream().read());
    }
    open(TcpRanks.rank(1, 2, port), PATIENT).join();
    rank0.join();
  }

  private static Socket stranger(int port) throws IOException {
    for (; ; ) {
      try {
        return new Socket(InetAddress.getLoopbackAddress(), port);
      } catch (IOException _) {
        Thread.onSpinWait(); // rank 0 does not listen yet
      }
    }
  }

  @Test
  void whoReachesNobodySaysWhere() {
    int port = FreePort.find();
    String sentence = failure(open(TcpRanks.rank(1, 2, port), Duration.ofMillis(50)));
    assertTrue(
        sentence.startsWith("rank 1 cannot reach rank 0 at localhost:" + port + " within 0.3 s: "),
        sentence);
  }

  @Test
  void aPortThatIsTakenIsNamed() throws IOException {
    try (ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String sentence = failure(open(TcpRanks.rank(0, 2, other.getLocalPort()), IMPATIENT));
      assertTrue(
          sentence.startsWith("rank 0 cannot listen at localhost:" + other.getLocalPort() + ": "),
          sentence);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          0 | 0 | here | 1     | long enough for all | there are 0 ranks, expected 1 or more
          2 | 2 | here | 1     | long enough for all | rank 2 of 2 is not in 0..1
          0 | 2 | ' '  | 1     | long enough for all | rank 0's host is empty
          0 | 2 | here | 65536 | long enough for all | rank 0's port 65536 is not in 1..65535
          0 | 2 | here | 1     | short       | the ranks' secret has fewer than 16 characters
          """)
  void wrongSettingsAreRefused(
      int rank, int size, String host, int port, String secret, String sentence) {
    assertEquals(
        sentence,
        assertThrows(
                IllegalArgumentException.class,
                () -> new TcpRank(rank, size, host, port, secret, false))
            .getMessage());
  }
}
