package panamoe.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import panamoe.tensor.TensorScope;
import panamoe.testkit.Faults;

/**
 * {@link CheckpointStore}: a failing disk, network or process limit proves nothing about the
 * checkpoint, so that no message advises to remove or move anything. A passing fault goes
 * unnoticed.
 */
@Tag("slow")
class ReadFaultsTest extends SavedSamples {
  private static final int EIO = 5;
  private static final int EMFILE = 24;
  private static final int ESTALE = 116;

  @Test
  void noFaultOfAnyCallIsTakenForDamage() throws Exception {
    Path folder = Files.createDirectory(directory.resolve("checkpoints"));
    CheckpointStore store = new CheckpointStore(folder, 4);
    store.save(written.at(1));
    store.save(written.at(2));
    store.save(written.at(3));
    List<String> lines = readWithFaults(folder, "none");
    assertTrue(lines.size() > 100, lines.toString());
    for (String line : lines) {
      boolean passed = line.contains("ONCE");
      assertEquals(passed, line.endsWith(": read"), line);
      assertTrue(
          passed || line.contains("could not be read: ") || line.contains("cannot list"), line);
      for (String harmful :
          List.of(
              "delete", "move", "damage", "changed", "intact", "whole", "holds no", "not exist")) {
        assertFalse(line.contains(harmful), line);
      }
      assertEquals(line.indexOf("step-0"), line.lastIndexOf("step-0"), line);
    }
  }

  /** Seen damage is reported, whatever fails in the search for an intact checkpoint. */
  @Test
  void noFaultHidesADamage() throws Exception {
    Path folder = Files.createDirectory(directory.resolve("checkpoints"));
    CheckpointStore store = new CheckpointStore(folder, 4);
    store.save(written.at(1));
    Path config = store.save(written.at(2)).directory().resolve(Checkpoint.CONFIG);
    Files.writeString(config, Files.readString(config).replace('{', ' '));
    List<String> lines = readWithFaults(folder, "r/step-00000002/config.json");
    assertTrue(lines.size() > 50, lines.toString());
    for (String line : lines) {
      assertTrue(line.contains(config + " was changed since it was saved: its SHA-256 is "), line);
      assertTrue(
          !line.contains("ONCE") || line.contains("step-00000001 next to it is intact"), line);
    }
    assertTrue(lines.stream().anyMatch(line -> !line.contains("next to it")), lines.toString());
  }

  /**
   * @param after calls fail after the last one of this kind; any fails if there is none
   */
  private List<String> readWithFaults(Path folder, String after) throws Exception {
    Path work = Files.createDirectory(directory.resolve("work"));
    Process child =
        Faults.on(folder, work)
            .disturb(
                new ProcessBuilder(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-cp",
                    System.getProperty("java.class.path"),
                    ReadFaultsTest.class.getName(),
                    folder.toString(),
                    after))
            .redirectErrorStream(true)
            .start();
    List<String> lines = child.inputReader().lines().toList();
    assertEquals(0, child.waitFor(), lines.toString());
    return lines;
  }

  /**
   * Reads the latest checkpoint repeatedly, with another failing call each time, and prints the
   * results.
   */
  public static void main(String[] arguments) throws IOException {
    Path folder = Path.of(arguments[0]);
    Faults faults = Faults.mine();
    try (TensorScope scope = TensorScope.confined(new ArenaMemory())) {
      SampleContents contents = new SampleContents(scope);
      read(folder, contents); // once, so that all classes are there
      for (int error : new int[] {EIO, EMFILE, ESTALE}) {
        for (Faults.Action action : List.of(Faults.Action.FAIL_ONCE, Faults.Action.FAIL_FROM)) {
          faults.set(Faults.Action.PASS, 0, 0);
          read(folder, contents);
          List<String> calls = faults.calls();
          for (int call = calls.lastIndexOf(arguments[1]) + 2; call <= calls.size(); call++) {
            faults.set(action, call, error);
            String said = read(folder, contents);
            faults.set(Faults.Action.PASS, 0, 0);
            System.out.println(action + " " + error + " at " + call + ": " + said);
          }
        }
      }
    }
  }

  private static String read(Path folder, SampleContents contents) {
    try {
      Checkpoint checkpoint = Checkpoint.open(folder);
      checkpoint.config();
      contents.readModel(checkpoint, false, true);
      return "read";
    } catch (CheckpointException e) {
      return e.getMessage();
    }
  }

  @Test
  void anInterruptedThreadIsToldSoAndStaysInterrupted() {
    Path saved = save(1);
    save(2);
    Checkpoint opened = Checkpoint.open(directory);
    for (Runnable action :
        List.<Runnable>of(
            () -> Checkpoint.open(directory),
            () -> Checkpoint.open(saved),
            opened::config,
            opened::verify,
            () -> read.readModel(opened, false, true))) {
      Thread.currentThread().interrupt();
      String message = assertThrows(CheckpointException.class, action::run).getMessage();
      assertTrue(Thread.interrupted(), message);
      assertTrue(message.endsWith(" could not be read: the thread was interrupted"), message);
    }
    Thread.currentThread().interrupt();
    String message =
        assertThrows(
                CheckpointException.class,
                () -> new CheckpointStore(directory, 9).save(written.at(3)))
            .getMessage();
    assertTrue(Thread.interrupted());
    assertTrue(message.contains(" failed: the thread was interrupted"), message);
    assertEquals(2, Checkpoint.open(directory).step());
  }
}
