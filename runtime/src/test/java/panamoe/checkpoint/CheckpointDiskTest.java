package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.tensor.DType;
import panamoe.tensor.Elements;
import panamoe.tensor.TensorScope;

/** {@link CheckpointStore} on full disks and in folders that cannot be written. */
class CheckpointDiskTest {
  private static final int DISK_KIB = 256;

  private final TensorScope scope = TensorScope.confined(new ArenaMemory());
  private final SampleContents written = new SampleContents(scope);

  @TempDir private Path directory;

  @AfterEach
  void close() {
    scope.close();
  }

  /** On a real full disk if this process may mount one, else on a simulated one. */
  @Test
  void fullDisk() throws Exception {
    Path disk = Files.createDirectory(directory.resolve("disk"));
    boolean mounted =
        run("mount", "-t", "tmpfs", "-o", "size=" + DISK_KIB + "k", "tmpfs", disk.toString()) == 0;
    try {
      CheckpointStore store =
          new CheckpointStore(
              disk,
              2,
              Sharding.bounded(Long.MAX_VALUE),
              (operation, path) -> {
                boolean large = operation.equals("write") && Files.size(path) > 0 && !mounted;
                if (large && path.getFileName().toString().startsWith("model")) {
                  throw new IOException("No space left on device");
                }
              });
      store.save(contents(1, 0));
      CheckpointException e =
          assertThrows(
              CheckpointException.class, () -> store.save(contents(2, DISK_KIB * 1024 / 4)));
      assertEquals(
          "cannot save step 2 in "
              + disk
              + ": writing model.safetensors failed: No space left on device; the latest checkpoint is step-00000001",
          e.getMessage());
      assertEquals(
          List.of("latest", "step-00000001"),
          Disk.list(disk).stream().map(path -> path.getFileName().toString()).toList());
      Checkpoint.open(disk).verify();
    } finally {
      if (mounted) {
        assertEquals(0, run("umount", disk.toString()));
      }
    }
  }

  @Test
  void folderThatCannotBeMade() throws IOException {
    Path file = Files.createFile(directory.resolve("file"));
    CheckpointException e =
        assertThrows(
            CheckpointException.class,
            () -> new CheckpointStore(file.resolve("below"), 1).save(written.at(1)));
    assertTrue(
        e.getMessage().startsWith("cannot save step 1 in " + file.resolve("below") + ": "),
        e.getMessage());
    assertEquals(1, e.getMessage().lines().count());
  }

  @Test
  void aSecondSaveAtATimeIsRefused() throws IOException {
    CheckpointStore other =
        new CheckpointStore(directory.resolve("../" + directory.getFileName()), 2);
    List<String> refusals = new ArrayList<>();
    CheckpointStore store =
        new CheckpointStore(
            directory,
            2,
            Sharding.bounded(Long.MAX_VALUE),
            (operation, path) -> {
              if (operation.equals("rename")) {
                refusals.add(
                    assertThrows(IllegalStateException.class, () -> other.save(written.at(2)))
                        .getMessage());
              }
            });
    store.save(written.at(1)); // stays whole
    assertTrue(refusals.getFirst().startsWith("another save into "), refusals::toString);
    Checkpoint.open(directory).verify();
    assertEquals("step-00000002", other.save(written.at(2)).directory().getFileName().toString());
  }

  /** The mirror shows the checkpoint already: a run goes on, and says what is left. */
  @Test
  void copiedFilesThatCannotBeDeleted() {
    List<String> shown = new ArrayList<>();
    CheckpointMirror mirror =
        new CheckpointMirror() {
          @Override
          public void copy(String name, List<Path> files) {}

          @Override
          public void show(String name, int keep, OptionalLong best) {
            shown.add(name);
          }
        };
    CheckpointStore store =
        new CheckpointStore(
            directory,
            1,
            Sharding.bounded(Long.MAX_VALUE),
            (operation, path) -> {
              if (operation.equals("delete")) {
                throw new IOException("the disk is gone");
              }
            },
            mirror);
    List<String> warnings = store.save(written.at(1)).warnings();
    assertEquals(List.of("step-00000001"), shown);
    assertEquals(1, warnings.size());
    assertTrue(warnings.getFirst().startsWith("cannot delete " + directory), warnings::toString);
    assertTrue(warnings.getFirst().endsWith(": the disk is gone"), warnings::toString);
  }

  @Test
  void tensorThatCannotBeWritten() throws IOException {
    written.model.put("packed", scope.allocatePacked(DType.FLOAT32, 64, 2, 2));
    assertThrows(
        IllegalArgumentException.class,
        () -> new CheckpointStore(directory, 1).save(written.at(1)));
    assertEquals(List.of(), Disk.list(directory));
  }

  private CheckpointContents contents(long step, int extraElements) {
    CheckpointContents some = written.at(step);
    Map<String, Elements> model = new TreeMap<>(some.model());
    model.put("extra", scope.zeros(DType.FLOAT32, extraElements));
    return new CheckpointContents(
        step, some.config(), some.state(), some.experts(), model, some.optimizer());
  }

  private static int run(String... command) throws Exception {
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start()
        .waitFor();
  }
}
