package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;
import panamoe.testkit.Faults;

/**
 * A training run that is killed at a system call resumes bit for bit, and saved data was forced to
 * the disk.
 *
 * <p>{@code -Dpanamoe.kill.points=all} kills it at each of its about 1,500 system calls on its
 * folder, which takes an hour or two; a number selects that many, evenly spread; see {@link
 * Faults#kills}.
 */
@Tag("slow")
class KilledTrainingTest {
  private static final int STEPS = 4; // saved after every second step
  private static final int FEW_KILLS = 8;
  private static final int SIGKILL = 128 + 9;
  private static final int EIO = 5;
  private static final int ENOSPC = 28;

  @TempDir private Path folder;
  private Path run;
  private Path said;
  private Faults faults;

  @BeforeEach
  void prepare() throws Exception {
    run = folder.resolve("run");
    said = folder.resolve("said.txt");
    TinyRun.config(folder, STEPS);
    Files.writeString(
        folder.resolve("text.txt"),
        "the committee thanks its members for this report.\n".repeat(900));
    faults = Faults.on(run, Files.createDirectory(folder.resolve("work")));
  }

  @Test
  void aRunThatIsKilledAnywhereGoesOnBitForBit() throws Exception {
    assertEquals(0, train(Faults.Action.PASS, 0, 0), this::said);
    List<String> calls = faults.calls();
    assertDurable(calls);
    byte[] weights = weights();
    List<Double> losses = Losses.of(run);
    assertEquals(STEPS, losses.size());

    for (Faults.Kill kill : Faults.kills(calls, FEW_KILLS)) {
      delete(run);
      assertEquals(SIGKILL, train(kill.action(), kill.call(), 0), () -> kill + ": " + said());
      boolean begun = Files.exists(run.resolve("config.json"));
      CommandRun goneOn =
          begun
              ? CommandRun.of("train", "--resume", "--out", run.toString())
              : CommandRun.of(begin());
      String where = kill + ", " + calls.get((int) kill.call() - 1) + ": " + goneOn;
      assertEquals(0, goneOn.exitCode(), where);
      assertArrayEquals(weights, weights(), where);
      assertEquals(losses, Losses.of(run), where);
    }
  }

  /**
   * A checkpoint's data is forced to the disk before it becomes the latest, and a file's before it
   * gets its name.
   */
  private static void assertDurable(List<String> calls) {
    int[] saves =
        IntStream.range(0, calls.size())
            .filter(i -> calls.get(i).equals("m/checkpoints/latest"))
            .toArray();
    assertEquals(STEPS / 2, saves.length, calls.toString());
    for (int save : saves) {
      List<String> before = calls.subList(0, save);
      assertTrue(
          before.lastIndexOf("f/metrics.jsonl") > before.lastIndexOf("w/metrics.jsonl"),
          calls.toString());
      assertTrue(before.contains("w/metrics.jsonl"), calls.toString());
    }
    assertTrue(
        calls.lastIndexOf("f/metrics.jsonl") > calls.lastIndexOf("w/metrics.jsonl"),
        calls.toString());
    for (String name : List.of("config.json", "text.json", "report.html")) {
      int moved = calls.indexOf("m/" + name);
      int written = calls.indexOf("w/." + name + ".tmp");
      int forced = calls.indexOf("f/." + name + ".tmp");
      assertTrue(0 < written && written < forced && forced < moved, name + ": " + calls);
      assertTrue(
          calls.subList(moved, calls.size()).contains("f"),
          name + ": " + calls); // the folder, for the file's name
    }
  }

  @Test
  void aFullDiskNamesTheFile() throws Exception {
    assertEquals(0, train(Faults.Action.PASS, 0, 0), this::said);
    int metrics = faults.calls().indexOf("w/metrics.jsonl") + 1;
    delete(run);
    assertEquals(1, train(Faults.Action.FAIL_FROM, metrics, ENOSPC), this::said);
    assertTrue(
        said().contains("panamoe train: No space left on device: " + run.resolve("metrics.jsonl")),
        this::said);
  }

  @Test
  void aFileThatCannotBeReadIsNamed() throws Exception {
    assertEquals(0, train(Faults.Action.PASS, 0, 0), this::said);
    String[] resume = {"train", "--resume", "--out", run.toString()};
    assertEquals(0, call(Faults.Action.PASS, 0, 0, resume), this::said);
    int metrics = faults.calls().indexOf("r/metrics.jsonl") + 1;
    assertTrue(metrics > 0, () -> faults.calls().toString());
    assertEquals(1, call(Faults.Action.FAIL_FROM, metrics, EIO, resume), this::said);
    assertEquals(
        "panamoe train: Input/output error: " + run.resolve("metrics.jsonl") + "\n", said());
    assertEquals(0, call(Faults.Action.FAIL_ONCE, metrics, EIO, resume), this::said);
  }

  private String[] begin() {
    return new String[] {
      "train",
      "--text",
      folder.resolve("text.txt").toString(),
      "--config",
      folder.resolve("config.json").toString(),
      "--out",
      run.toString()
    };
  }

  private int train(Faults.Action action, long call, int error)
      throws IOException, InterruptedException {
    return call(action, call, error, begin());
  }

  private int call(Faults.Action action, long call, int error, String... command)
      throws IOException, InterruptedException {
    faults.set(action, call, error);
    return faults
        .disturb(new ProcessBuilder(SmallJvm.command(Main.class, command)))
        .redirectErrorStream(true)
        .redirectOutput(said.toFile())
        .start()
        .waitFor();
  }

  private String said() {
    try {
      return Files.readString(said);
    } catch (IOException e) {
      return e.toString();
    }
  }

  /** The weights and moments of the last step. */
  private byte[] weights() throws IOException {
    try (Stream<Path> files = Files.list(run.resolve("checkpoints/step-0000000" + STEPS))) {
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      for (Path file :
          files.filter(each -> each.toString().endsWith(".safetensors")).sorted().toList()) {
        all.writeBytes(Files.readAllBytes(file));
      }
      return all.toByteArray();
    }
  }

  private static void delete(Path folder) throws IOException {
    if (Files.exists(folder)) {
      try (Stream<Path> all = Files.walk(folder)) {
        for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(each);
        }
      }
    }
  }
}
