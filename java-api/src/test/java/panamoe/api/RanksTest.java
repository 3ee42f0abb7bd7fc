package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.testkit.Floats;
import panamoe.testkit.FreePort;
import panamoe.testkit.Mpirun;

/** Layers that several ranks hold together. */
class RanksTest {
  private static final Duration PATIENCE = Duration.ofMinutes(1);
  private static final int TOKENS = 6;
  private static final int HIDDEN = 16;
  private static final LayerSettings LAYER = LayerSettings.of(HIDDEN, 32, 4, 2).withResidual(true);

  /** The results of a rank with a layer of four experts. */
  private record Result(float[] y, float[] dx, float[] router, long experts) {}

  /** Runs a layer on the tokens of every data rank. */
  private static List<Result> onRanks(int ranks, Degrees degrees) {
    return Ranks.onThreads(ranks, degrees, PATIENCE, each -> onRank(each, each.dataRank(), 1));
  }

  /**
   * @param first of the parts of the tokens on this rank
   * @param ranks null for a single rank
   */
  private static Result onRank(Ranks ranks, int first, int parts) {
    try (Arena arena = Arena.ofConfined();
        Device device = Device.open("cpu", 1);
        MoeLayer layer =
            MoeLayer.create(device, LAYER, new Execution(Precision.FLOAT32, ranks), 3)) {
      int count = TOKENS * HIDDEN;
      MemorySegment x = arena.allocate(ValueLayout.JAVA_FLOAT, (long) parts * count);
      for (int part = 0; part < parts; part++) {
        Floats.fill(x.asSlice(4L * part * count, 4L * count), first + part);
      }
      MemorySegment y = arena.allocate(x.byteSize(), 4);
      MemorySegment dx = arena.allocate(x.byteSize(), 4);
      try (LayerStep step = layer.train(x, y, (long) parts * TOKENS, 1)) {
        step.backward(y, dx);
      }
      layer.parameters().sumGradients();
      return new Result(
          Floats.of(y),
          Floats.of(dx),
          Floats.of(layer.parameters().gradient("moe.gate.weight")),
          layer.parameters().shape("moe.experts.up.weight")[0]);
    }
  }

  @ParameterizedTest
  @CsvSource({"2, 2, 1, 1, 2", "2, 1, 2, 1, 4", "4, 2, 2, 2, 2", "4, 4, 1, 1, 1"})
  void aLayerIsTheSameOnEveryTopology(int ranks, int expert, int tensor, int slices, int held) {
    int parts = ranks / tensor;
    Result whole = onRank(null, 0, parts);
    List<Result> results = onRanks(ranks, new Degrees(expert, tensor, slices));
    int count = TOKENS * HIDDEN;
    for (int rank = 0; rank < ranks; rank++) {
      Result result = results.get(rank);
      int from = rank / tensor * count;
      assertEquals(held, result.experts());
      assertArrayEquals(Arrays.copyOfRange(whole.y(), from, from + count), result.y(), 1e-6f);
      assertArrayEquals(Arrays.copyOfRange(whole.dx(), from, from + count), result.dx(), 1e-6f);
      assertArrayEquals(whole.router(), result.router(), 1e-5f);
    }
  }

  @Test
  void aRankKnowsItsPlace() {
    List<String> places =
        Ranks.onThreads(
            4,
            Degrees.of(1).withTensor(2).withSlices(2),
            PATIENCE,
            ranks -> {
              ranks.barrier();
              return ranks.rank()
                  + "/"
                  + ranks.size()
                  + " "
                  + ranks.dataRank()
                  + "/"
                  + ranks.dataSize()
                  + " "
                  + ranks.sum(ranks.rank());
            });
    assertEquals(List.of("0/4 0/2 6.0", "1/4 0/2 6.0", "2/4 1/2 6.0", "3/4 1/2 6.0"), places);
  }

  @Test
  void patienceMayBeOfAnyLength() {
    for (Duration patience : List.of(Duration.ofNanos(1), Duration.ofSeconds(Long.MAX_VALUE))) {
      assertEquals(List.of(1), Ranks.onThreads(1, Degrees.of(1), patience, ranks -> ranks.size()));
    }
  }

  @Test
  void wrongDegreesAreRefused() {
    for (Degrees wrong : List.of(Degrees.of(3), Degrees.of(1).withTensor(3))) {
      assertThrows(
          PanamoeException.BadArgument.class,
          () -> Ranks.onThreads(2, wrong, PATIENCE, ranks -> null));
    }
    assertEquals(
        "a world of threads has at most 65535 ranks, not 1048576",
        assertThrows(
                PanamoeException.BadArgument.class,
                () -> Ranks.onThreads(1 << 20, Degrees.of(1), PATIENCE, ranks -> null))
            .getMessage());
    assertThrows(
        PanamoeException.BadArgument.class,
        () -> Ranks.onThreads(0, Degrees.of(1), PATIENCE, ranks -> null));
    assertThrows(
        PanamoeException.BadArgument.class,
        () -> Ranks.onThreads(1, Degrees.of(1), Duration.ZERO, ranks -> null));
    assertThrows(
        PanamoeException.BadArgument.class,
        () -> Ranks.onThreads(1, Degrees.of(1), PATIENCE, null));
  }

  @Test
  void aRanksFailureReachesTheCaller() {
    PanamoeException.RanksFailed failed =
        assertThrows(
            PanamoeException.RanksFailed.class,
            () ->
                Ranks.onThreads(
                    2,
                    Degrees.of(1),
                    PATIENCE,
                    ranks -> {
                      if (ranks.rank() == 1) {
                        throw new IllegalStateException("mine");
                      }
                      return ranks.sum(1);
                    }));
    assertTrue(failed.getMessage().contains("rank 1"), failed.getMessage());
    assertInstanceOf(IllegalStateException.class, failed.getCause());
  }

  @Test
  void aRankHasOneDeviceAndWhatDividesAmongAll() {
    Ranks.onThreads(
        2,
        Degrees.of(1).withTensor(2).withSlices(2),
        PATIENCE,
        ranks -> {
          Execution shared = Execution.FLOAT32.over(ranks);
          try (Device device = Device.open("reference", 1);
              Device other = Device.open("reference", 1)) {
            MoeLayer.create(device, LAYER, shared, 1);
            String refused =
                assertThrows(
                        PanamoeException.BadArgument.class,
                        () -> MoeLayer.create(other, LAYER, shared, 1))
                    .getMessage();
            assertTrue(refused.contains("another device"), refused);
            LayerSettings odd = LayerSettings.of(HIDDEN, 33, 4, 2);
            assertThrows(
                PanamoeException.BadArgument.class, () -> MoeLayer.create(device, odd, shared, 1));
            return null;
          }
        });
  }

  @Test
  void theExampleRunsOnThreadsAndInProcesses() {
    List<Double> sums = RanksExample.run();
    assertEquals(sums.get(0), sums.get(1));
    Mpirun processes = Mpirun.run(2, InProcess.class, "2");
    assertEquals(0, processes.status(), processes::text);
    String line = "sum " + sums.get(0);
    assertEquals(List.of(line, line), processes.linesFrom("sum "));
  }

  private static TcpRank encrypted(String value) {
    return TcpRank.of(
        Map.of(
            "PANAMOE_RANK", "1",
            "PANAMOE_RANKS", "2",
            "PANAMOE_RENDEZVOUS", "node0:7777",
            "PANAMOE_SECRET", "a secret of theirs",
            "PANAMOE_ENCRYPT", value));
  }

  /** Processes started by this test only. */
  @Test
  void theExampleRunsInProcessesThatMeetByTcp() throws Exception {
    String port = String.valueOf(FreePort.find());
    List<CompletableFuture<Mpirun>> processes =
        IntStream.range(0, 2)
            .mapToObj(rank -> Mpirun.java(ByTcp.class, String.valueOf(rank), port))
            .map(command -> concurrently(() -> Mpirun.run(command, Map.of())))
            .toList();
    List<String> sums = processes.stream().map(each -> each.join().text()).toList();
    String line = "sum " + RanksExample.run().getFirst();
    assertTrue(sums.getFirst().contains(line), sums.getFirst());
    assertTrue(sums.getLast().contains(line), sums.getLast());
  }

  @Test
  void aProcessIsARankAgainAfterAFailure() throws Exception {
    int port = FreePort.find();
    for (boolean fails : new boolean[] {true, false}) {
      CompletableFuture<Object> other =
          concurrently(
              () -> sum(new TcpRank(1, 2, "localhost", port, "a secret of theirs", true), false));
      Object mine = sum(new TcpRank(0, 2, "localhost", port, "a secret of theirs", true), fails);
      assertEquals(fails ? "rank 0 aborted: no more tokens" : 3.0, other.join());
      assertEquals(fails ? "no more tokens" : 3.0, mine);
    }
  }

  /** On a separate thread: the common pool may have only one. */
  private static <T> CompletableFuture<T> concurrently(Supplier<T> work) {
    return CompletableFuture.supplyAsync(work, task -> Thread.ofPlatform().start(task));
  }

  /** The sum of 1 and 2 over two ranks, or the message of the failure. */
  private static Object sum(TcpRank self, boolean fails) {
    try {
      return Ranks.overTcp(
          self,
          Degrees.of(1),
          PATIENCE,
          ranks -> {
            if (fails) {
              throw new IllegalStateException("no more tokens");
            }
            return ranks.sum(1 + ranks.rank());
          });
    } catch (Exception e) {
      return e.getMessage();
    }
  }

  /** Whatever a program throws, the other ranks must not take it for success. */
  @Test
  void anotherWorldsFailureIsToldToTheRanksOfThisOne() throws Exception {
    int port = FreePort.find();
    CompletableFuture<Object> other = concurrently(() -> outcome(1, port, ranks -> "success"));
    Object mine =
        outcome(
            0,
            port,
            ranks ->
                Ranks.onThreads(
                    1,
                    Degrees.of(1),
                    PATIENCE,
                    inner -> {
                      throw new IllegalStateException("no more tokens");
                    }));
    assertTrue(mine.toString().contains("no more tokens"), mine.toString());
    assertTrue(other.join().toString().startsWith("rank 0 aborted"), other.join().toString());
  }

  private static Object outcome(int rank, int port, Ranks.Program<Object> program) {
    try {
      TcpRank self = new TcpRank(rank, 2, "localhost", port, "a secret of theirs");
      return Ranks.overTcp(self, Degrees.of(1), Duration.ofDays(400), program);
    } catch (Exception e) {
      return e.getMessage();
    }
  }

  @Test
  void whatIsNoRankIsRefused() {
    String sentence =
        assertThrows(
                PanamoeException.BadArgument.class,
                () -> new TcpRank(2, 2, "localhost", 7777, "a secret of theirs"))
            .getMessage();
    assertEquals("rank 2 of 2 is not in 0..1", sentence);
    assertEquals(
        "rank 1 of 2 at node0:7777",
        new TcpRank(1, 2, "node0", 7777, "a secret of theirs").toString());
    assertThrows(
        PanamoeException.BadArgument.class,
        () -> new TcpRank(0, 2, null, 7777, "a secret of theirs"));
    assertThrows(
        PanamoeException.BadArgument.class, () -> new TcpRank(0, 2, "localhost", 7777, null));
    assertEquals(
        new TcpRank(1, 2, "fd00::1", 7777, "a secret of theirs"),
        TcpRank.of(
            Map.of(
                "PANAMOE_RANK", "1",
                "PANAMOE_RANKS", "2",
                "PANAMOE_RENDEZVOUS", "[fd00::1]:7777",
                "PANAMOE_SECRET", "a secret of theirs")));
    assertEquals(new TcpRank(1, 2, "node0", 7777, "a secret of theirs", true), encrypted("1"));
    assertEquals(
        "PANAMOE_ENCRYPT is 'yes', expected 1 (the ranks encrypt) or 0",
        assertThrows(PanamoeException.BadArgument.class, () -> encrypted("yes")).getMessage());
    assertEquals(
        "the ranks' secret has fewer than 16 characters, but it makes the keys that encrypt",
        assertThrows(
                PanamoeException.BadArgument.class,
                () -> new TcpRank(0, 2, "localhost", 7777, "", true))
            .getMessage());
    assertThrows(
        PanamoeException.BadArgument.class,
        () ->
            Ranks.overTcp(
                new TcpRank(1, 2, "localhost", 7777, "a secret of theirs"),
                Degrees.of(3),
                PATIENCE,
                ranks -> null));
    assertThrows(
        PanamoeException.BadArgument.class,
        () -> Ranks.overTcp(null, Degrees.of(1), PATIENCE, ranks -> null));
  }

  @Test
  void processesOfWrongDegreesAreRefused() {
    Mpirun processes = Mpirun.run(2, InProcess.class, "3");
    assertTrue(processes.status() != 0, processes::text);
    assertTrue(processes.text().contains("do not divide into expert groups of 3"), processes::text);
  }

  /** A rank in a separate process. */
  static final class InProcess {
    private InProcess() {}

    public static void main(String[] arguments) throws Exception {
      Degrees degrees = Degrees.of(Integer.parseInt(arguments[0]));
      System.out.println("sum " + Ranks.overMpi(degrees, PATIENCE, RanksExample::rank));
    }
  }

  /** A rank in a separate process that meets the others by TCP. */
  static final class ByTcp {
    private ByTcp() {}

    public static void main(String[] arguments) throws Exception {
      TcpRank self =
          new TcpRank(
              Integer.parseInt(arguments[0]),
              2,
              "localhost",
              Integer.parseInt(arguments[1]),
              "nobody knows this");
      System.out.println("sum " + Ranks.overTcp(self, Degrees.of(2), PATIENCE, RanksExample::rank));
    }
  }
}
