package panamoe.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.testkit.SmallRun;

/**
 * Concurrent misuse never crashes the JVM: 64 threads for 10 seconds, or for the seconds of {@code
 * -Dpanamoe.storm.seconds=60}.
 */
@Tag("slow")
class StressRunTest {
  private static final String THREADS = "64";

  @TempDir private Path folder;

  @Test
  void callersCannotEndTheJvm() throws IOException, InterruptedException {
    SmallRun.train(folder, 3);
    Path crash = folder.resolve("crash.log");
    Path output = folder.resolve("output.log");
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-Xmx1g",
            "-XX:ErrorFile=" + crash,
            "-XX:-CreateCoredumpOnCrash",
            "-cp",
            System.getProperty("java.class.path"),
            StressRun.class.getName(),
            folder.toString(),
            THREADS,
            System.getProperty("panamoe.storm.seconds", "10"));
    Process storm =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    int status = storm.waitFor();
    String said = Files.readString(output);
    System.out.print(said);
    assertFalse(Files.exists(crash), () -> "the JVM crashed:\n" + said);
    assertEquals(0, status, said);
  }
}
