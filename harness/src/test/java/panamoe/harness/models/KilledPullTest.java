package panamoe.harness.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;
import panamoe.testkit.Faults;
import panamoe.testkit.HubStandIn;

/** A download that is killed at a system call goes on, and one on a full disk says so. */
@Tag("slow")
class KilledPullTest {
  private static final int FEW_KILLS = 6;
  private static final int SIGKILL = 128 + 9;
  private static final int ENOSPC = 28;
  private static final byte[] CONTENT = new byte[100_000];

  static {
    new Random(1).nextBytes(CONTENT);
  }

  @TempDir private Path folder;
  private final HubStandIn hub = new HubStandIn().with("tiny-Q8_0.gguf", CONTENT);
  private Path cache;
  private Path said;
  private Faults faults;

  @BeforeEach
  void begin() throws Exception {
    cache = folder.resolve("cache");
    said = folder.resolve("said.txt");
    faults = Faults.on(cache, Files.createDirectory(folder.resolve("work")));
  }

  @AfterEach
  void end() {
    hub.close();
  }

  private int pull(Faults.Action action, long call, int error) throws Exception {
    faults.set(action, call, error);
    ProcessBuilder process =
        faults.disturb(new ProcessBuilder(SmallJvm.command(Main.class, "pull", "hf:acme/tiny")));
    process
        .environment()
        .keySet()
        .removeIf(name -> name.matches("HF_.*|HUGGING.*|.*_(proxy|PROXY)"));
    process.environment().put("HF_HUB_CACHE", cache.toString());
    process.environment().put("HF_ENDPOINT", hub.endpoint().toString());
    return process.redirectErrorStream(true).redirectOutput(said.toFile()).start().waitFor();
  }

  private String said() throws IOException {
    return Files.readString(said);
  }

  private void assertWhole(String where) throws IOException {
    Path file = Path.of(said().lines().reduce("", (_, last) -> last));
    assertEquals(-1, Files.mismatch(file, Files.write(folder.resolve("right"), CONTENT)), where);
    try (Stream<Path> blobs = Files.list(cache.resolve("models--acme--tiny/blobs"))) {
      assertEquals(1, blobs.count(), where);
    }
  }

  private void delete() throws IOException {
    try (Stream<Path> all = Files.walk(cache)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(each);
      }
    }
  }

  @Test
  void aKilledPullGoesOn() throws Exception {
    assertEquals(0, pull(Faults.Action.PASS, 0, 0), said());
    assertWhole("");
    List<String> calls = faults.calls();
    for (Faults.Kill kill : Faults.kills(calls, FEW_KILLS)) {
      delete();
      String where = kill + ", " + calls.get((int) kill.call() - 1);
      assertEquals(SIGKILL, pull(kill.action(), kill.call(), 0), where + said());
      assertEquals(0, pull(Faults.Action.PASS, 0, 0), where + said());
      assertWhole(where);
    }
  }

  @Test
  void aFullDiskIsSaidAndWhatIsThereStays() throws Exception {
    assertEquals(0, pull(Faults.Action.PASS, 0, 0), said());
    String part = HubStandIn.sha256(CONTENT) + ".panamoe.incomplete";
    List<String> calls = faults.calls();
    int last = 0;
    for (int i = 0; i < calls.size(); i++) {
      last = calls.get(i).startsWith("w") && calls.get(i).endsWith(part) ? i + 1 : last;
    }
    assertTrue(last > 0, calls::toString);
    delete();
    assertEquals(1, pull(Faults.Action.FAIL_FROM, last, ENOSPC), said());
    Path file = cache.resolve("models--acme--tiny/blobs").resolve(part);
    assertTrue(said().contains("panamoe pull: No space left on device: " + cache), said());
    assertTrue(Files.exists(file));
    assertEquals(0, pull(Faults.Action.PASS, 0, 0), said());
    assertWhole("");
  }
}
