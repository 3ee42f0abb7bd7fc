package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.comm.ThreadWorld;
import panamoe.tensor.Elements;
import panamoe.tensor.Tensor;
import panamoe.tensor.TensorScope;

/** {@link CheckpointStore}: a checkpoint by several ranks, each with its own tensors. */
class RankedCheckpointTest {
  private static final int RANKS = 2;

  @TempDir private Path directory;
  private final TensorScope scope = TensorScope.shared(new ArenaMemory());
  private final SampleContents written = new SampleContents(scope);
  private final SampleContents read = new SampleContents(scope);

  @AfterEach
  void free() {
    scope.close();
  }

  /**
   * @param writes whether a rank writes a tensor of the model
   */
  private List<Path> save(long step, BiPredicate<Integer, String> writes, Disk.Listener ofLast) {
    CheckpointContents all = written.at(step);
    return ThreadWorld.of(RANKS)
        .run(
            world -> {
              Disk.Listener listener = world.rank() == RANKS - 1 ? ofLast : (_, _) -> {};
              Map<String, Elements> model = new LinkedHashMap<>(all.model());
              model.keySet().removeIf(name -> !writes.test(world.rank(), name));
              Map<String, Tensor> optimizer = world.rank() == 0 ? all.optimizer() : Map.of();
              CheckpointContents mine =
                  new CheckpointContents(
                      step, all.config(), all.state(), all.experts(), model, optimizer);
              return new CheckpointStore(directory, 2, Sharding.bounded(Long.MAX_VALUE), listener)
                  .save(mine, world)
                  .directory();
            });
  }

  private List<Path> save(long step, BiPredicate<Integer, String> writes) {
    return save(step, writes, (_, _) -> {});
  }

  /** Rank 1 holds experts 2 and 3, rank 0 all else. */
  private static boolean shared(int rank, String name) {
    return rank == (name.contains("experts.2.") || name.contains("experts.3.") ? 1 : 0);
  }

  private String refusal() {
    return assertThrows(
            CheckpointException.class,
            () -> read.readModel(Checkpoint.open(directory), false, true))
        .getMessage();
  }

  @Test
  void allRanksWriteOneCheckpoint() throws IOException {
    List<Path> saved = save(3, RankedCheckpointTest::shared);
    assertEquals(saved.get(0), saved.get(1));
    try (Stream<Path> files = Files.list(saved.getFirst())) {
      assertEquals(
          List.of("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"),
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> name.startsWith("model"))
              .sorted()
              .toList());
    }
    Checkpoint checkpoint = Checkpoint.open(directory);
    checkpoint.verify();
    read.readModel(checkpoint, false, true);
    read.readOptimizer(checkpoint);
    assertTrue(read.sameAs(written));
  }

  @Test
  void aMissingExpertIsNamed() {
    save(1, (rank, name) -> shared(rank, name) && !name.contains("experts.3."));
    assertTrue(
        refusal().contains("missing layers.1.moe.experts.3.up.weight (layer 1, expert 3)"),
        refusal());
  }

  @Test
  void anExpertThatTwoRanksWroteIsNamed() {
    save(1, (rank, name) -> shared(rank, name) || name.contains("experts.3."));
    assertTrue(
        refusal().contains("layers.1.moe.experts.3.up.weight (layer 1, expert 3) is both in"),
        refusal());
  }

  @Test
  void anExpertOfAnotherModelIsNamed() {
    save(1, RankedCheckpointTest::shared);
    Map<String, long[]> wanted = new LinkedHashMap<>();
    written.model.forEach(
        (name, tensor) -> wanted.put(name.replace("experts.3.", "experts.4."), tensor.shape()));
    try (Shards shards = Checkpoint.open(directory).model()) {
      String message =
          assertThrows(CheckpointException.class, () -> shards.requireExactly(wanted)).getMessage();
      assertTrue(
          message.contains("unexpected layers.1.moe.experts.3.up.weight (layer 1, expert 3)"),
          message);
      assertTrue(
          message.contains("missing layers.1.moe.experts.4.up.weight (layer 1, expert 4)"),
          message);
    }
  }

  @Test
  void aRankThatCannotWriteFailsAllAndLeavesTheCheckpointBefore() {
    Path before = save(1, RankedCheckpointTest::shared).getFirst();
    RuntimeException failure =
        assertThrows(
            RuntimeException.class,
            () ->
                save(
                    2,
                    RankedCheckpointTest::shared,
                    (operation, _) -> {
                      if (operation.equals("write")) {
                        throw new IOException("No space left on device");
                      }
                    }));
    assertTrue(failure.getMessage().contains("No space left on device"), failure.getMessage());
    assertTrue(
        failure.getMessage().contains("the latest checkpoint is step-00000001"),
        failure.getMessage());
    assertEquals(before, new CheckpointStore(directory, 2).latest().orElseThrow());
    assertEquals(1, new CheckpointStore(directory, 2).checkpoints().size());
  }
}
