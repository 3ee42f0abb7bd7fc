package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.tensor.TensorScope;
import panamoe.testkit.Faults;

/**
 * {@link CheckpointStore}: after a save fails or is killed at any point, there is an intact
 * checkpoint and no partial one.
 *
 * <p>{@code -Dpanamoe.kill.points=all} kills it before, after and in the middle of every system
 * call, which takes a minute or two; a number limits the places; see {@link Faults#kills}.
 */
@Tag("slow")
class CheckpointCrashTest {
  private static final int FEW_KILLS = 24;
  private static final int SIGKILL = 128 + 9;
  private static final int EIO = 5;

  private final TensorScope scope = TensorScope.confined(new ArenaMemory());
  private final SampleContents written = new SampleContents(scope);
  private final SampleContents read = new SampleContents(scope);

  @TempDir private Path directory;

  /** Simulates a killed process: a save's clean-up does not run. */
  private static final class Killed extends Error {}

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void failureOfAnyOperation() throws IOException {
    List<Path> operations = operationsOfASave();
    int ofTheCheckpoint =
        operations.size() - (int) operations.stream().filter(CheckpointCrashTest::isOld).count();
    assertTrue(ofTheCheckpoint > 20, operations.toString());
    for (int failing = 1; failing <= ofTheCheckpoint; failing++) {
      Path folder = withTwoCheckpoints("failure" + failing);
      CheckpointStore store =
          failingAt(folder, failing, new IOException("No space left on device"));
      CheckpointException e =
          assertThrows(CheckpointException.class, () -> store.save(written.at(3)));
      assertTrue(e.getMessage().contains("No space left on device"), e.getMessage());
      boolean saved = new CheckpointStore(folder, 2).openLatest().orElseThrow().step() == 3;
      // A checkpoint of a step that was not saved must never be the latest.
      assertEquals(
          !saved, e.getMessage().startsWith("cannot save step 3 in " + folder), e.getMessage());
      assertEquals(
          !saved,
          e.getMessage().endsWith("; the latest checkpoint is step-00000002"),
          e.getMessage());
      String unsure =
          "step 3 is saved as "
              + folder.resolve("step-00000003")
              + ", but may be lost in a power failure: ";
      assertEquals(saved, e.getMessage().startsWith(unsure), e.getMessage());
      assertIntact(folder);
      assertEquals(List.of(), temporaries(folder), "operation " + failing);
    }
  }

  @Test
  void oldCheckpointsThatCannotBeDeletedAreWarnings() throws IOException {
    for (String failing : List.of("rename", "delete")) {
      Path folder = withTwoCheckpoints(failing);
      CheckpointStore store =
          new CheckpointStore(
              folder,
              2,
              Sharding.bounded(Long.MAX_VALUE),
              (operation, path) -> {
                if (operation.equals(failing) && isOld(path)) {
                  throw new IOException("Operation not permitted");
                }
              });
      for (int step = 3; step <= 4; step++) {
        List<String> warnings = store.save(written.at(step)).warnings();
        assertEquals(1, warnings.size(), warnings.toString());
        assertTrue(warnings.getFirst().startsWith("cannot delete " + folder), warnings.getFirst());
        assertTrue(warnings.getFirst().endsWith(": Operation not permitted"), warnings.getFirst());
        assertEquals(step, assertIntact(folder));
      }
      CheckpointStore again = new CheckpointStore(folder, 2);
      assertEquals(List.of(), again.save(written.at(5)).warnings());
      assertEquals(List.of(), temporaries(folder));
      assertEquals(2, again.checkpoints().size());
    }
  }

  @Test
  void deathBeforeAnyOperation() throws IOException {
    int operations = operationsOfASave().size();
    for (int last = 1; last <= operations; last++) {
      Path folder = withTwoCheckpoints("death" + last);
      CheckpointStore store = failingAt(folder, last, new Killed());
      assertThrows(Killed.class, () -> store.save(written.at(3)));
      assertIntact(folder);
      new CheckpointStore(folder, 2).save(written.at(4));
      assertEquals(4, assertIntact(folder));
      assertEquals(List.of(), temporaries(folder), "operation " + last);
      assertEquals(2, new CheckpointStore(folder, 2).checkpoints().size());
    }
  }

  /**
   * Kills by SIGKILL before, after and in the middle of system calls of a save that also deletes
   * the oldest checkpoint.
   */
  @Test
  @Timeout(value = 10, unit = TimeUnit.MINUTES)
  void killedProcess() throws Exception {
    Path folder = directory.resolve("killed");
    Faults faults = Faults.on(folder, Files.createDirectory(directory.resolve("work")));
    assertEquals(0, save(folder, faults, new Faults.Kill(Faults.Action.PASS, 0)));
    List<String> calls = faults.calls();
    for (String kind : List.of("w", "f", "m", "u", "d")) {
      assertTrue(calls.stream().anyMatch(call -> call.startsWith(kind)), calls.toString());
    }
    for (Faults.Kill kill : Faults.kills(calls, FEW_KILLS)) {
      assertNotEquals(0, save(folder, faults, kill), kill.toString());
      long found = assertIntact(folder);
      assertTrue(found == 2 || found == 3, kill + " left step " + found);
      assertTrue(new CheckpointStore(folder, 2).checkpoints().size() >= 2, kill.toString());
      new CheckpointStore(folder, 2).save(written.at(4));
      assertEquals(4, assertIntact(folder), kill.toString());
      assertEquals(List.of(), temporaries(folder), kill.toString());
      assertEquals(2, new CheckpointStore(folder, 2).checkpoints().size(), kill.toString());
    }
  }

  /** Older checkpoints that cannot even be listed are a warning too: the step is saved. */
  @Test
  void aSaveIsASaveThoughTheOldCannotBeListed() throws Exception {
    Path folder = directory.resolve("killed");
    Faults faults = Faults.on(folder, Files.createDirectory(directory.resolve("work")));
    assertEquals(0, save(folder, faults, new Faults.Kill(Faults.Action.PASS, 0)));
    List<String> calls = faults.calls();
    int pointed = calls.indexOf("m/latest");
    int forced = pointed + calls.subList(pointed, calls.size()).indexOf("f");
    int listed = forced + calls.subList(forced, calls.size()).indexOf("o") + 1;
    assertTrue(0 < pointed && pointed < forced && forced < listed, calls.toString());
    assertEquals(0, save(folder, faults, new Faults.Kill(Faults.Action.FAIL_FROM, listed)));
    assertEquals(3, assertIntact(folder));
  }

  /** Saves step 3 over steps 1 and 2 in a process that is killed; returns its status. */
  private int save(Path folder, Faults faults, Faults.Kill kill)
      throws IOException, InterruptedException {
    new Disk((operation, path) -> {}).delete(folder);
    withTwoCheckpoints(folder.getFileName().toString());
    faults.set(kill.action(), kill.call(), EIO);
    Path output = directory.resolve("output");
    int status =
        faults
            .disturb(
                new ProcessBuilder(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-Xmx64m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    System.getProperty("java.class.path"),
                    OneSave.class.getName(),
                    folder.toString()))
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start()
            .waitFor();
    assertTrue(status == 0 || status == SIGKILL, Files.readString(output));
    return status;
  }

  @Test
  void anotherLivingProcessKeepsItsTemporaryFiles() throws Exception {
    Process living = new ProcessBuilder("sleep", "100").start();
    try {
      Path own = Files.createDirectory(directory.resolve(".step-00000001.tmp-" + living.pid()));
      new CheckpointStore(directory, 1).save(written.at(1));
      assertTrue(Files.exists(own));
      living.destroyForcibly().waitFor();
      new CheckpointStore(directory, 1).save(written.at(2));
      assertEquals(List.of(), temporaries(directory));
    } finally {
      living.destroyForcibly();
    }
  }

  /** The paths of the operations. */
  private List<Path> operationsOfASave() {
    List<Path> paths = new ArrayList<>();
    new CheckpointStore(
            withTwoCheckpoints("count"),
            2,
            Sharding.bounded(Long.MAX_VALUE),
            (operation, path) -> paths.add(path))
        .save(written.at(3));
    return paths;
  }

  /** Whether a path is in the oldest checkpoint, which a save deletes after writing its own. */
  private static boolean isOld(Path path) {
    return path.toString().contains("step-00000001");
  }

  private Path withTwoCheckpoints(String name) {
    Path folder = directory.resolve(name);
    CheckpointStore store = new CheckpointStore(folder, 2);
    store.save(written.at(1));
    store.save(written.at(2));
    return folder;
  }

  private static CheckpointStore failingAt(Path folder, int operation, Throwable failure) {
    AtomicInteger count = new AtomicInteger();
    return new CheckpointStore(
        folder,
        2,
        Sharding.bounded(Long.MAX_VALUE),
        (name, path) -> {
          if (count.incrementAndGet() == operation) {
            switch (failure) {
              case IOException e -> throw e;
              case Error e -> throw e;
              default -> throw new IllegalArgumentException(failure);
            }
          }
        });
  }

  /** Asserts that the latest checkpoint has exactly its step's contents; returns the step. */
  private long assertIntact(Path folder) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    checkpoint.verify();
    read.readModel(checkpoint, false, true);
    read.readOptimizer(checkpoint);
    assertEquals(checkpoint.step() * 100, checkpoint.state().path("tokens").asLong());
    assertTrue(written.fill(checkpoint.step()).sameAs(read), "step " + checkpoint.step());
    return checkpoint.step();
  }

  private static List<String> temporaries(Path folder) throws IOException {
    return Disk.list(folder).stream()
        .map(path -> path.getFileName().toString())
        .filter(name -> name.startsWith("."))
        .toList();
  }
}
