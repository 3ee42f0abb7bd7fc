package panamoe.harness.doctor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Runs an installed program to read its version or state. */
final class Tool {
  private static final long SECONDS = 10;

  private Tool() {}

  /**
   * The first group of {@code pattern} in the command's output; empty if the program is missing,
   * fails, takes too long or nothing matches.
   */
  static Optional<String> ask(Pattern pattern, String... command) {
    try {
      Process process = new ProcessBuilder(List.of(command)).redirectErrorStream(true).start();
      process.getOutputStream().close();
      if (!process.waitFor(SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        return Optional.empty();
      }
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      Matcher matcher = pattern.matcher(output);
      return process.exitValue() == 0 && matcher.find()
          ? Optional.of(matcher.group(1))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    }
  }
}
