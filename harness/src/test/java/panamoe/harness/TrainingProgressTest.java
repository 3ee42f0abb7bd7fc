package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class TrainingProgressTest {
  @Test
  void aLogGetsTheLastStepAndNoLineForEachStep() {
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    try (TrainingProgress progress = TrainingProgress.asLines(new PrintStream(log), 0, 100)) {
      for (int step = 1; step <= 100; step++) {
        progress.finished(step, 2.5, 3.125, 12345.6);
      }
    }
    assertEquals(
        "step 100/100  loss 2.500  bits/byte 3.125  12,346 tokens/s  0:00:00 left",
        log.toString(StandardCharsets.UTF_8).strip());
  }
}
