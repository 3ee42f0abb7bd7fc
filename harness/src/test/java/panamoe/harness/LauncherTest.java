package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The launcher's own commands, in a copy of it beside something that it could remove. */
class LauncherTest {
  @ParameterizedTest
  @CsvSource({
    "clean, --help, 0, Removes everything that was built",
    "clean, now, 2, clean takes no arguments",
    "build, -h, 0, Builds the native library",
    "test, quick, 2, test takes no arguments",
  })
  void explainsItselfAndDoesNothing(String command, String argument, int exitCode, String words, @TempDir Path folder)
      throws IOException, InterruptedException {
    Path launcher = Files.copy(Path.of("..", "panamoe"), folder.resolve("panamoe"));
    Path built = Files.createDirectory(folder.resolve("build"));
    Process process =
        new ProcessBuilder("bash", launcher.toString(), command, argument).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(exitCode, process.waitFor(), said);
    assertTrue(said.contains(words), said);
    assertTrue(Files.exists(built), said);
  }
}
