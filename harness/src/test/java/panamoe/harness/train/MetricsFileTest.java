package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.io.FileErrors;
import panamoe.io.SafeFolder;
import panamoe.train.StepMetrics;
import panamoe.train.Validation;

class MetricsFileTest {
  private static final String FIRST = "{\"step\": 1, \"loss\": 2.5}\n";
  private static final String SECOND =
      "{\"step\": 2, \"loss\": 2.25, \"validation_bits_per_byte\": 3.5}\n";
  private static final String FOURTH = "{\"step\": 4, \"loss\": 2.125}\n";

  @TempDir private Path run;

  @Test
  void aRunThatHasNotTrainedYetHasNoSteps() throws IOException {
    assertSays(0, OptionalDouble.empty());
    assertKeeps("", 9);
  }

  @Test
  void stepsAreToldByTheirNumbersNotByTheirLines() throws IOException {
    write(FIRST + SECOND);
    assertSays(2, OptionalDouble.of(3.5));
    write(FIRST + "\n" + FOURTH);
    assertSays(4, OptionalDouble.empty());
    assertKeeps(FIRST, 3);
    assertKeeps(FIRST + FOURTH, 4);
  }

  @Test
  void aTornLineCountsForNothing() throws IOException {
    String notUtf8 = "{\"step\": 3, \"lo\u00ff\": 1}\n";
    for (String torn :
        List.of("{\"step\": 3, \"lo", "\0\0\0\n", notUtf8, "[]\n", "{\"step\": \"3\"}\n", "\n")) {
      write(FIRST + SECOND + torn);
      assertSays(2, OptionalDouble.of(3.5));
      assertKeeps(FIRST + SECOND, 9);
    }
    write(FIRST + "{\"step\": 2, \"los\n" + FOURTH);
    assertSays(4, OptionalDouble.empty());
    assertKeeps(FIRST + FOURTH, 9);
  }

  @Test
  void whatTheReportCouldNotReadIsNotKept() throws IOException {
    write(FIRST + "{\"step\": 2, \"layers\": 5}\n" + FOURTH);
    assertKeeps(FIRST + FOURTH, 9);
  }

  @Test
  void aLinkIsNotWrittenThrough() throws IOException {
    MetricsFile metrics = new MetricsFile(new SafeFolder(run));
    Path outside = Files.createFile(run.resolve("outside"));
    Files.createSymbolicLink(metrics.path(), outside);
    StepMetrics step =
        new StepMetrics(1, 8, 2, 3, 1, 0.1, 1, 8, List.of(), OptionalDouble.empty(), null, null);
    IOException failure = assertThrows(IOException.class, () -> metrics.append(step));
    assertEquals(
        metrics.path() + " is a symbolic link, not a regular file", FileErrors.sentence(failure));
    assertEquals(0, Files.size(outside));
  }

  private void assertSays(long lastStep, OptionalDouble lastValidation) throws IOException {
    assertEquals(lastStep, new MetricsFile(new SafeFolder(run)).lastStep());
    Optional<Validation.Score> found = new MetricsFile(new SafeFolder(run)).validation(lastStep);
    assertEquals(lastValidation.isPresent(), found.isPresent());
    found.ifPresent(score -> assertEquals(lastValidation.getAsDouble(), score.bitsPerByte()));
  }

  private void assertKeeps(String lines, long step) throws IOException {
    assertEquals(
        lines, new String(new MetricsFile(new SafeFolder(run)).upTo(step), StandardCharsets.UTF_8));
  }

  /** As Latin-1, which has a character for every byte. */
  private void write(String lines) throws IOException {
    Files.write(run.resolve("metrics.jsonl"), lines.getBytes(StandardCharsets.ISO_8859_1));
  }
}
