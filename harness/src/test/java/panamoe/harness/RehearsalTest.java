package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Tag("slow")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RehearsalTest {
  /** Nor does a command start the flight recorder, which takes a tenth of a second. */
  @Test
  void runsEveryCommandToItsEnd(@TempDir Path folder) throws IOException, InterruptedException {
    List<String> command =
        SmallJvm.command(Rehearsal.class, folder.resolve("rehearsal").toString());
    command.add(1, "-Xlog:class+load");
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    assertTrue(said.contains("Unknown option: '--unknown'"), said);
    assertTrue(said.contains("40 tokens in"), said);
    assertTrue(said.contains("stopping: 0 requests left"), said);
    assertTrue(said.contains("panamoe.engine.schedule.DecodeEvent"), said);
    assertFalse(said.contains("jdk.jfr.internal.PlatformRecorder"), said);
  }
}
