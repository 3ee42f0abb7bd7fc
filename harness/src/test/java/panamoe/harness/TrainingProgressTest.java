package panamoe.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TrainingProgressTest {
  @Test
  void aTerminalGetsTheSameOnOneLine() {
    Screen screen = new Screen();
    try (TrainingProgress progress = TrainingProgress.asBar(screen.stream(), 0, 12000)) {
      progress.finished(12000, 2.5, 3.125, 9.6);
    }
    assertEquals(
        List.of("step 12000/12000  loss 2.500  bits/byte 3.125  10 tokens/s  0:00:00 left", ""),
        screen.lines().stream().map(line -> line.replaceFirst("^\\[=*\\] ", "")).toList());
  }

  @Test
  void aMessageHasNothingOfTheBarBesideIt() throws InterruptedException {
    Screen screen = new Screen();
    try (TrainingProgress progress = TrainingProgress.asBar(screen.stream(), 0, 12000)) {
      // Until one is drawn: a step that comes while a frame is made is not, before the next step.
      for (int step = 6000; !screen.seen("/12000"); step++) {
        progress.finished(step, 2.5, 3.125, 9.6);
        Thread.sleep(1);
      }
      progress.printAbove(() -> screen.stream().println("warning: slow"));
    }
    List<String> lines = screen.lines();
    assertEquals("warning: slow", lines.getFirst());
    assertTrue(lines.get(1).contains("/12000"), lines::toString);
    assertEquals(3, lines.size(), lines::toString);
  }

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
