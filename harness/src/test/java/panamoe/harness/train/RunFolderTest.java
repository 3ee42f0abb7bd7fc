package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.config.EveryPart;
import panamoe.train.RunConfig;
import panamoe.train.RunFolder;
import panamoe.train.TextRecord;
import panamoe.train.TrainConfig;

class RunFolderTest {
  @TempDir private Path folder;

  private Path run() throws IOException {
    Path run = Files.createDirectory(folder.resolve("run"));
    RunConfig config = new RunConfig(EveryPart.model(), TrainConfig.of(10, 4, 16), 1);
    Files.writeString(run.resolve("config.json"), config.toJson());
    return run;
  }

  /**
   * The second process opens the lock file while the first trains, and locks it when the first has
   * ended.
   */
  @Test
  void theThirdProcessIsKeptOutByTheSecond() throws IOException {
    Path run = run();
    RunFolder first = RunPath.open(run);
    try (FileChannel second = FileChannel.open(run.resolve(".lock"), StandardOpenOption.WRITE)) {
      first.close();
      assertNotNull(second.tryLock());
      String message =
          assertThrows(IllegalArgumentException.class, () -> RunPath.open(run)).getMessage();
      assertTrue(message.contains("another process is training in " + run), message);
    }
    RunPath.open(run).close();
  }

  @Test
  void aRunWithADamagedHistoryIsRefusedBeforeAFileIsWritten() throws IOException {
    Path run = run();
    Path history = Files.writeString(run.resolve("history.json"), "[{\"date\": ");
    String message =
        assertThrows(IllegalArgumentException.class, () -> RunPath.open(run)).getMessage();
    assertTrue(message.startsWith(history + ": "), message);
    assertFalse(Files.exists(run.resolve(".lock")));
  }

  /** Not even root can create a folder in /proc. */
  @Test
  void aPlaceThatCannotBeWrittenToIsRefusedAtOnce() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    assertEquals(
        "the folder /proc/sys is not writable; choose another --out",
        refusal(Path.of("/proc/sys/run/deep")));
    assertEquals(
        "cannot make the folder " + file.resolve("run") + ": " + file + " is a file",
        refusal(file.resolve("run")));
  }

  private static String refusal(Path path) {
    return assertThrows(IllegalArgumentException.class, () -> RunPath.requireFree(path))
        .getMessage();
  }

  /** Simulates a full disk: the last of the run's first files cannot be written. */
  @Test
  void aRunThatCouldNotBeginLeavesNoFolderOfItsOwn() throws IOException {
    RunConfig config = new RunConfig(EveryPart.model(), TrainConfig.of(10, 4, 16), 1);
    Path run = folder.resolve("run");
    Path obstacle = run.resolve(".config.json.tmp").resolve("in-the-way");
    try (RunFolder begun = RunPath.create(run)) {
      Files.createDirectories(obstacle);
      UncheckedIOException failure =
          assertThrows(
              UncheckedIOException.class,
              () ->
                  begun.begin(
                      config,
                      Map.of("tokenizer.json", new byte[1]),
                      new TextRecord(null, null, null, null, null, List.of(), "0"),
                      null));
      assertTrue(Files.exists(run.resolve("tokenizer.json")));
      assertTrue(begun.discard(failure));
      Files.delete(obstacle);
      Files.delete(obstacle.getParent());
    }
    assertFalse(Files.exists(run));
  }

  @Test
  void aRunThatNeverBeganLeavesNoFolderOfItsOwn() throws IOException {
    Path fresh = folder.resolve("fresh");
    RunPath.create(fresh).close();
    assertFalse(Files.exists(fresh));
    Path given = Files.createDirectory(folder.resolve("given"));
    RunPath.create(given).close();
    RunPath.create(given).close();
    assertTrue(Files.exists(given));
  }

  @Test
  void whatARunLeavesThatWasKilledAsItBeganGivesWayToTheNext() throws IOException {
    Path run = Files.createDirectory(folder.resolve("run"));
    Path checkpoints = Files.createDirectory(run.resolve("checkpoints"));
    for (String name :
        List.of("tokenizer.json", ".tokenizer.json.tmp", "text.json", ".config.json.tmp")) {
      Files.createFile(run.resolve(name));
    }
    String refused = run + " is not empty and holds no run; choose another --out";
    assertEquals(refused, refusal(run)); // it may belong to anything
    Files.createFile(run.resolve(".lock"));
    Path saved = Files.createDirectory(checkpoints.resolve("step-00000002"));
    assertEquals(refused, refusal(run));
    Files.delete(saved);
    Path notes = Files.createFile(run.resolve("notes.txt"));
    assertEquals(refused, refusal(run));
    Files.delete(notes);

    Files.delete(checkpoints); // a run creates it first
    assertEquals(refused, refusal(run));
    Files.createDirectory(checkpoints);

    try (RunFolder first = RunPath.create(run)) {
      assertTrue(Files.isDirectory(first.checkpoints()));
      String message =
          assertThrows(IllegalArgumentException.class, () -> RunPath.create(run)).getMessage();
      assertEquals("another process is training in " + run, message);
    }
  }
}
