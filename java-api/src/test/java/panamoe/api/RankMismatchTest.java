package panamoe.api;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.testkit.FreePort;

/** Ranks that would compute different things. */
class RankMismatchTest {
  private static final Duration PATIENCE = Duration.ofMinutes(1);
  private static final LayerSettings LAYER = LayerSettings.of(16, 32, 4, 2);
  private static final ModelSettings MODEL = ModelSettings.of(32, 8, 8, 2, List.of(0, 4));
  private static final AdamWSettings ADAMW = AdamWSettings.USUAL;

  private static String refusal(int ranks, Ranks.Program<?> program) {
    return assertThrows(
            PanamoeException.RanksFailed.class,
            () -> Ranks.onThreads(ranks, Degrees.of(1), PATIENCE, program))
        .getMessage();
  }

  static Stream<Arguments> layers() {
    LayerSettings silu = LayerSettings.of(16, 32, 4, 2).withActivation(Activation.SILU);
    return Stream.of(
        Arguments.of(LayerSettings.of(16, 64, 4, 2), 1, "inner 64 where the others have 32"),
        Arguments.of(LayerSettings.of(24, 32, 4, 2), 1, "hidden 24 where the others have 16"),
        Arguments.of(LayerSettings.of(16, 32, 8, 2), 1, "experts 8 where the others have 4"),
        Arguments.of(LayerSettings.of(16, 32, 4, 3), 1, "gate.topK 3 where the others have 2"),
        Arguments.of(silu, 1, "activation \"SILU\" where the others have \"GELU_TANH\""),
        Arguments.of(
            LAYER.withResidual(true), 1, "residual.inner 32 where the others have nothing"),
        Arguments.of(LAYER, 9, "seed 9 where the others have 1"));
  }

  @ParameterizedTest
  @MethodSource("layers")
  void aLayersDifferenceIsNamedOnEveryRank(LayerSettings another, long seed, String difference) {
    String refused =
        refusal(
            3,
            ranks -> {
              boolean odd = ranks.rank() == 2;
              Execution shared = Execution.FLOAT32.over(ranks);
              try (Device device = Device.open("reference", 1)) {
                return MoeLayer.create(device, odd ? another : LAYER, shared, odd ? seed : 1);
              }
            });
    assertEquals("rank 2 has " + difference, refused);
  }

  @Test
  void severalDifferencesOfSeveralRanksAreNamed() {
    String refused =
        refusal(
            4,
            ranks -> {
              int rank = ranks.rank();
              LayerSettings settings = rank == 3 ? LayerSettings.of(16, 64, 8, 2) : LAYER;
              Execution shared = Execution.FLOAT32.over(ranks);
              try (Device device = Device.open("reference", 1)) {
                return MoeLayer.create(device, settings, shared, rank == 0 ? 7 : 1);
              }
            });
    assertEquals(
        "rank 0 has seed 7 where ranks 1, 2 have 1; rank 3 has experts 8 where ranks 1, 2 have 4,"
            + " inner 64 where ranks 1, 2 have 32",
        refused);
  }

  /** The program of a given rank. */
  private interface OfRank {
    Object run(TcpRank self, int rank) throws Exception;
  }

  private static List<CompletableFuture<Object>> byTcp(int size, OfRank program) {
    int port = FreePort.find();
    List<CompletableFuture<Object>> ranks = new ArrayList<>();
    for (int i = 0; i < size; i++) {
      int rank = i;
      CompletableFuture<Object> result = new CompletableFuture<>();
      ranks.add(result);
      Thread.startVirtualThread(
          () -> {
            try {
              TcpRank self = new TcpRank(rank, size, "localhost", port, "a secret of theirs");
              result.complete(program.run(self, rank));
            } catch (Throwable e) {
              result.completeExceptionally(e);
            }
          });
    }
    return ranks;
  }

  private static Throwable thrown(CompletableFuture<?> rank) {
    return assertThrows(CompletionException.class, rank::join).getCause();
  }

  /** In processes: each has its own world, and all throw the same sentence. */
  @Test
  void everyRankByTcpSaysTheSame() throws Exception {
    List<CompletableFuture<Object>> ranks =
        byTcp(
            3,
            (self, rank) ->
                Ranks.overTcp(
                    self,
                    Degrees.of(1),
                    PATIENCE,
                    others -> {
                      LayerSettings settings = LayerSettings.of(16, 32, 4, rank == 0 ? 3 : 2);
                      try (Device device = Device.open("reference", 1)) {
                        Execution shared = Execution.FLOAT32.over(others);
                        return MoeLayer.create(device, settings, shared, 1);
                      }
                    }));
    for (CompletableFuture<Object> rank : ranks) {
      Throwable thrown = thrown(rank);
      assertEquals(PanamoeException.RanksFailed.class, thrown.getClass());
      assertEquals("rank 0 has gate.topK 3 where the others have 2", thrown.getMessage());
    }
  }

  @Test
  void aModelIsComparedWhenItIsCreatedAndLoaded(@TempDir Path folder) {
    try (Device device = Device.open("reference", 1);
        TrainableModel model = TrainableModel.create(device, MODEL, 1)) {
      model.save(folder, AdamW.begin(model, ADAMW));
    }
    for (boolean loaded : new boolean[] {false, true}) {
      String refused =
          refusal(
              2,
              ranks -> {
                Precision precision = ranks.rank() == 1 ? Precision.BFLOAT16 : Precision.FLOAT32;
                Execution shared = new Execution(precision, ranks);
                try (Device device = Device.open("reference", 1)) {
                  return loaded
                      ? TrainableModel.load(device, folder, shared)
                      : TrainableModel.create(device, MODEL, shared, 1);
                }
              });
      assertEquals("rank 1 has precision BFLOAT16 where rank 0 has FLOAT32", refused);
    }
  }

  @Test
  void theDegreesAreCompared() throws Exception {
    List<CompletableFuture<Object>> ranks =
        byTcp(
            2,
            (self, rank) ->
                Ranks.overTcp(self, Degrees.of(1 + rank), PATIENCE, any -> "all the same"));
    for (CompletableFuture<Object> rank : ranks) {
      String message = thrown(rank).getMessage();
      assertTrue(message.startsWith("rank 1 has expert degree 2 where rank 0 has 1"), message);
    }
  }

  /** One training step of a rank and its optimizer. */
  private static void step(TrainableModel model, AdamW optimizer, double rate) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment tokens = arena.allocate(ValueLayout.JAVA_INT, 8);
      try (ModelStep step = model.train(tokens, tokens, 1, 8, 1)) {
        step.backward();
      }
      optimizer.step(rate);
      model.parameters().zeroGradients();
    }
  }

  @Test
  void theOptimizersRateAndDecayAreCompared() {
    for (boolean rate : new boolean[] {true, false}) {
      String refused =
          refusal(
              2,
              ranks -> {
                boolean odd = ranks.rank() == 1;
                try (Device device = Device.open("reference", 1)) {
                  TrainableModel model =
                      TrainableModel.create(device, MODEL, Execution.FLOAT32.over(ranks), 1);
                  AdamW optimizer =
                      AdamW.begin(model, odd && !rate ? ADAMW.withWeightDecay(0.2) : ADAMW);
                  step(model, optimizer, odd && rate ? 2e-3 : 1e-3);
                  return null;
                }
              });
      assertEquals(
          rate
              ? "rank 1 has learning rate 0.002 where rank 0 has 0.001"
              : "rank 1 has weightDecay 0.2 where rank 0 has 0.1",
          refused);
    }
  }

  /** A rate that changes later, and a parameter changed by the caller's optimizer. */
  @Test
  void laterStepsAreComparedToo() {
    String refused =
        refusal(
            2,
            ranks -> {
              try (Device device = Device.open("reference", 1)) {
                TrainableModel model =
                    TrainableModel.create(device, MODEL, Execution.FLOAT32.over(ranks), 1);
                AdamW optimizer = AdamW.begin(model, ADAMW);
                for (int step = 0; step < 65; step++) {
                  step(model, optimizer, ranks.rank() == 1 && step > 3 ? 0 : 1e-3);
                }
                return null;
              }
            });
    assertEquals("rank 1 has learning rate 0.0 where rank 0 has 0.001", refused);
    String drifted =
        refusal(
            3,
            ranks -> {
              try (Device device = Device.open("reference", 1);
                  Arena arena = Arena.ofConfined()) {
                MoeLayer layer = MoeLayer.create(device, LAYER, Execution.FLOAT32.over(ranks), 1);
                if (ranks.rank() == 1) {
                  layer.parameters().write("moe.gate.weight", arena.allocate(4L * 4 * 16, 4));
                }
                layer.parameters().sumGradients();
                return null;
              }
            });
    assertTrue(
        drifted.matches(
            "rank 1 has moe\\.gate\\.weight of checksum \\w+ where the others have \\w+"),
        drifted);
  }
}
