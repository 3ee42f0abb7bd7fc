package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.backend.Backend;
import panamoe.backend.reference.ReferenceBackend;
import panamoe.tensor.DType;
import panamoe.tensor.TensorScope;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** A folder is written whole or not at all, whatever operation of the disk fails. */
class CheckpointFolderTest {
  private static final Map<String, byte[]> BESIDE =
      Map.of("tokenizer.json", new byte[] {1, 2}, "released/config.json", new byte[] {3});

  @TempDir private Path folder;

  private static void write(Path target, Disk.Listener listener, Runnable check) {
    ObjectNode empty = JsonNodeFactory.instance.objectNode();
    try (Backend backend = new ReferenceBackend();
        TensorScope scope = TensorScope.confined(backend)) {
      CheckpointFolder.write(
          target,
          new CheckpointContents(
              3,
              empty,
              empty,
              List.of(),
              Map.of("w", scope.allocate(DType.FLOAT32, 2, 3).set(1f, 2, 3, 4, 5, 6)),
              Map.of()),
          BESIDE,
          _ -> check.run(),
          new Disk(listener));
    }
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList();
    }
  }

  @Test
  void theFolderIsACheckpointWithFilesBeside() throws IOException {
    Path target = folder.resolve("model");
    List<String> forced = new ArrayList<>();
    write(
        target,
        (operation, path) -> {
          if (operation.equals("force")) {
            forced.add(path.getFileName().toString());
          }
        },
        () -> assertFalse(Files.exists(target)));
    assertTrue(forced.contains("released"), "the names in it are on the disk: " + forced);
    Checkpoint checkpoint = Checkpoint.open(target);
    checkpoint.verify();
    assertEquals(3, checkpoint.step());
    assertArrayEquals(new byte[] {3}, Files.readAllBytes(target.resolve("released/config.json")));
    assertEquals(List.of(target), files());
  }

  @Test
  void nothingIsLeftOfAFailure() throws IOException {
    List<String> operations = new ArrayList<>();
    write(folder.resolve("whole"), (operation, _) -> operations.add(operation), () -> {});
    for (int failing = 0; failing < operations.size(); failing++) {
      int[] left = {failing};
      CheckpointException e =
          assertThrows(
              CheckpointException.class,
              () ->
                  write(
                      folder.resolve("new/below/model"),
                      (operation, _) -> {
                        if (left[0]-- == 0) {
                          throw new IOException("No space left on device");
                        }
                      },
                      () -> {}));
      assertTrue(e.getMessage().contains("No space left on device"), e.getMessage());
      assertEquals(List.of(folder.resolve("whole")), files(), "operation " + failing);
    }
  }

  @Test
  void whatAKilledProcessLeftOfTheFolderIsDeleted() throws IOException {
    Path stale = folder.resolve(".model.tmp-999999999999");
    Files.writeString(Files.createDirectories(stale.resolve("below")).resolve("file"), "1");
    Path other = Files.createFile(folder.resolve(".model2.tmp-999999999999"));
    Path running = Files.createFile(folder.resolve(".model.tmp-1"));
    write(folder.resolve("model"), (_, _) -> {}, () -> assertFalse(Files.exists(stale)));
    assertEquals(Set.of(folder.resolve("model"), other, running), Set.copyOf(files()));
  }

  @Test
  void nothingIsLeftIfTheCheckRefusesTheFolder() throws IOException {
    Runnable refuses =
        () -> {
          throw new IllegalArgumentException("not good enough");
        };
    assertThrows(
        IllegalArgumentException.class,
        () -> write(folder.resolve("model"), (_, _) -> {}, refuses));
    assertEquals(List.of(), files());
  }
}
