package panamoe.lab.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.lab.study.RunFigures.Evaluation;
import panamoe.lab.study.RunFigures.Routing;

/** Tests the figures that a study publishes. */
class FigureFilesTest {
  private static final Measurements NOTHING =
      new Measurements() {
        @Override
        public double accuracy(StudyRun run) {
          throw new AssertionError("measured again");
        }

        @Override
        public double prunedBits(StudyRun run, int percent, String by) {
          throw new AssertionError("measured again");
        }
      };

  private final StudyRun run =
      StudyBudget.full(1).seeds("moe", Shapes.moe(Shapes.HIDDEN, 4)).first();

  @TempDir private Path folder;
  private Path published;

  @BeforeEach
  void publish() throws IOException {
    published = Files.createDirectory(folder.resolve("published"));
    Files.writeString(
        published.resolve("moe-1.json"),
        """
        {"run": "moe-1", "parameters": %d, "tokens": %d,
         "evaluations": [{"tokens": 1024, "bits_per_byte": 3.5}, {"tokens": 4096000, "bits_per_byte": 2.5}],
         "routing": [{"tokens": 4096000, "drop_rate": 0.25, "fullest": 1.5, "dead": 0.5, "kept": 768}],
         "measured": {"accuracy": 0.375, "bits_without_25_by_reap": 2.75}}
        """
            .formatted(run.parameters(), run.tokens()));
  }

  private FigureFiles files(Path known) {
    Trainings none =
        new Trainings(folder.resolve("none"), List.of(), new PrintWriter(Writer.nullWriter()));
    return new FigureFiles(folder.resolve("figures"), known, none, NOTHING);
  }

  @Test
  void publishedFiguresAreTakenOverAndNothingIsTrained() {
    assertFalse(files(null).has(run));
    assertTrue(files(published).has(run));
    RunFigures expected =
        new RunFigures(
            "moe-1",
            run.parameters(),
            run.tokens(),
            List.of(new Evaluation(1024, 3.5), new Evaluation(4_096_000, 2.5)),
            List.of(new Routing(4_096_000, 0.25, 1.5, 0.5, 768)),
            Map.of("accuracy", 0.375, "bits_without_25_by_reap", 2.75));
    assertEquals(expected, files(published).of(run));
    assertEquals(expected, files(null).of(run));
  }

  @Test
  void whatWasMeasuredIsNotMeasuredAgain() {
    assertEquals(0.375, files(published).accuracy(run));
    assertEquals(2.75, files(published).prunedBits(run, 25, "reap"));
  }

  @Test
  void figuresOfAnotherRunAreRefused() throws IOException {
    StudyRun wider = StudyBudget.full(1).seeds("moe", Shapes.moe(Shapes.WIDER, 4)).first();
    for (StudyRun other :
        List.of(wider, StudyBudget.quick(1).seeds("moe", run.config().model()).first())) {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> files(published).has(other));
      assertTrue(
          refused
              .getMessage()
              .endsWith("moe-1.json is not of the run that the study has now; remove it"),
          refused.getMessage());
    }
    Files.writeString(published.resolve("moe-1.json"), "{");
    assertThrows(IllegalArgumentException.class, () -> files(published).has(run));
  }
}
