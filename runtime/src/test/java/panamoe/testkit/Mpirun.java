package panamoe.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Runs a class of the tests' class path as ranks of a real mpirun.
 *
 * @param status exit status of mpirun
 * @param lines the output of mpirun and the ranks
 */
public record Mpirun(int status, List<String> lines, Duration took) {
  private static final Duration LIMIT = Duration.ofMinutes(10);

  /**
   * @throws AssertionError if it does not end in time
   */
  public static Mpirun run(int ranks, Class<?> main, String... arguments) {
    List<String> options =
        List.of(
            "--allow-run-as-root",
            "--oversubscribe",
            "--mca",
            "pml",
            "ob1",
            "--mca",
            "btl",
            "self,sm",
            "--mca",
            "mpi_yield_when_idle",
            "1");
    List<String> command = new ArrayList<>(List.of("mpirun", "-n", String.valueOf(ranks)));
    command.addAll(options);
    command.addAll(java(main, arguments));
    return run(command, Map.of());
  }

  /**
   * The command that runs the class in a small JVM, without the second compiler, because it runs
   * only briefly.
   */
  public static List<String> java(Class<?> main, String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx128m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty(
                    "surefire.test.class.path", System.getProperty("java.class.path")),
                main.getName()));
    command.addAll(List.of(arguments));
    return command;
  }

  public static Mpirun run(List<String> command, Map<String, String> environment) {
    long start = System.nanoTime();
    try {
      Path output = Files.createTempFile("mpirun", ".txt");
      ProcessBuilder builder =
          new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
      builder.environment().putAll(environment);
      Process process = builder.start();
      boolean ended = process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS);
      if (!ended) {
        process.destroy(); // SIGTERM, because mpirun then ends its ranks; SIGKILL would leave them
        process.waitFor(10, TimeUnit.SECONDS);
      }
      List<String> lines = Files.readString(output, StandardCharsets.UTF_8).lines().toList();
      Files.delete(output);
      if (!ended) {
        throw new AssertionError(
            command + " did not end within " + LIMIT + ": " + String.join("\n", lines));
      }
      return new Mpirun(process.exitValue(), lines, Duration.ofNanos(System.nanoTime() - start));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError("interrupted", e);
    }
  }

  public List<String> linesFrom(String start) {
    return lines.stream().filter(line -> line.startsWith(start)).toList();
  }

  public String text() {
    return "status " + status + " after " + took.toMillis() + " ms:\n" + String.join("\n", lines);
  }
}
