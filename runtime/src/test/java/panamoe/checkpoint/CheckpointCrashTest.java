package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.tensor.TensorScope;

/** Whatever happens to a save, and whenever, there is a whole checkpoint afterwards and no half of one. */
class CheckpointCrashTest {
  private static final int KILLS = 20;

  private final TensorScope scope = TensorScope.confined(new ArenaMemory());
  private final SampleContents written = new SampleContents(scope);
  private final SampleContents read = new SampleContents(scope);

  @TempDir
  private Path directory;

  /** Stands for a killed process: nothing that a save does on failure is done. */
  private static final class Killed extends Error {}

  @AfterEach
  void close() {
    scope.close();
  }

  @Test
  void failureOfAnyOperation() throws IOException {
    List<Path> operations = operationsOfASave();
    int ofTheCheckpoint = operations.size() - (int) operations.stream().filter(CheckpointCrashTest::isOld).count();
    assertTrue(ofTheCheckpoint > 20, operations.toString());
    for (int failing = 1; failing <= ofTheCheckpoint; failing++) {
      Path folder = withTwoCheckpoints("failure" + failing);
      CheckpointStore store = failingAt(folder, failing, new IOException("No space left on device"));
      CheckpointException e = assertThrows(CheckpointException.class, () -> store.save(written.at(3)));
      assertTrue(e.getMessage().startsWith("cannot save step 3 in " + folder), e.getMessage());
      assertTrue(e.getMessage().contains("No space left on device; checkpoint step-"), e.getMessage());
      assertIntact(folder);
      assertEquals(List.of(), temporaries(folder), "operation " + failing);
    }
  }

  @Test
  void oldCheckpointsThatCannotBeDeletedAreWarnings() throws IOException {
    for (String failing : List.of("rename", "delete")) {
      Path folder = withTwoCheckpoints(failing);
      CheckpointStore store = new CheckpointStore(folder, 2, Long.MAX_VALUE, (operation, path) -> {
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

  @Test
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void killedProcess() throws Exception {
    Random random = new Random();
    Path folder = directory.resolve("checkpoints");
    Path output = directory.resolve("output");
    long previous = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
          "--enable-native-access=ALL-UNNAMED", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
          "-cp", System.getProperty("java.class.path"), SavingLoop.class.getName(), folder.toString())
          .redirectErrorStream(true).redirectOutput(output.toFile()).start();
      while (Files.size(output) == 0) {
        assertTrue(process.isAlive(), "the child ended by itself");
        Thread.sleep(5);
      }
      Thread.sleep(random.nextInt(60), random.nextInt(1_000_000));
      process.destroyForcibly().waitFor();
      String lines = Files.readString(output);
      // Whole lines name steps whose save had returned.
      long reported = lines.substring(0, lines.lastIndexOf('\n') + 1).lines()
          .mapToLong(Long::parseLong).max().orElse(0);
      long found = assertIntact(folder);
      assertTrue(found >= reported && found > previous, found + " found, " + reported + " reported");
      previous = found;
    }
    new CheckpointStore(folder, 2).save(written.at(previous + 1));
    assertEquals(List.of(), temporaries(folder));
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

  /** What each is done to. */
  private List<Path> operationsOfASave() {
    List<Path> paths = new ArrayList<>();
    new CheckpointStore(withTwoCheckpoints("count"), 2, Long.MAX_VALUE, (operation, path) -> paths.add(path))
        .save(written.at(3));
    return paths;
  }

  /** Whether a path is the oldest checkpoint, which a save deletes when it has written its own, or lies in it. */
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
    return new CheckpointStore(folder, 2, Long.MAX_VALUE, (name, path) -> {
      if (count.incrementAndGet() == operation) {
        switch (failure) {
          case IOException e -> throw e;
          case Error e -> throw e;
          default -> throw new IllegalArgumentException(failure);
        }
      }
    });
  }

  /** The step of the latest checkpoint, whose every bit is that of the step. */
  private long assertIntact(Path folder) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    checkpoint.verify();
    checkpoint.loadModel(read.model, false, true);
    read.readOptimizer(checkpoint);
    assertEquals(checkpoint.step() * 100, checkpoint.state().path("tokens").asLong());
    assertTrue(written.fill(checkpoint.step()).sameAs(read), "step " + checkpoint.step());
    return checkpoint.step();
  }

  private static List<String> temporaries(Path folder) throws IOException {
    return Disk.list(folder).stream().map(path -> path.getFileName().toString())
        .filter(name -> name.startsWith(".")).toList();
  }
}
