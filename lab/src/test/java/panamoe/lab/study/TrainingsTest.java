package panamoe.lab.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.config.ModelConfig;
import panamoe.model.KeptLayers;
import panamoe.train.DistillationConfig;

/** Tests runs of a few steps: started, interrupted and resumed. */
@Tag("slow")
class TrainingsTest {
  private static final int STEPS = 200;

  @TempDir private Path folder;
  private final StringWriter said = new StringWriter();
  private Path text;

  @BeforeEach
  void writeText() throws IOException {
    text = folder.resolve("text.txt");
    Files.writeString(text, randomWords());
  }

  /** Enough different words for a tokenizer of the study. */
  private static String randomWords() {
    SplittableRandom random = new SplittableRandom(1);
    StringBuilder words = new StringBuilder();
    for (int word = 0; word < 8000; word++) {
      int letters = 3 + random.nextInt(5);
      random.ints(letters, 'a', 'z' + 1).forEach(words::appendCodePoint);
      words.append(word % 10 == 9 ? '\n' : ' ');
    }
    return words.toString();
  }

  private Trainings trainings(String name) {
    return new Trainings(
        folder.resolve(name),
        List.of("--device", "cpu", "--text", text.toString()),
        new PrintWriter(said, true));
  }

  private static Variant dense(int steps) {
    return new StudyBudget(steps, 1, 1, 1).seeds("dense", Shapes.dense(8));
  }

  private String metrics(String name) throws IOException {
    return Files.readString(folder.resolve(name).resolve("dense-1/metrics.jsonl"));
  }

  private SeedSample bits(String name, Variant variant) {
    Path figures = folder.resolve(name).resolve("figures");
    return new StudyResults(new FigureFiles(figures, null, trainings(name), null)::of)
        .bits(variant);
  }

  @Test
  void aFinishedRunIsNotTrainedAgain() throws Exception {
    Trainings trainings = trainings("runs");
    StudyRun run = dense(2).first();
    assertEquals(0, trainings.stepsDone(run));
    trainings.train(run);
    assertEquals(2, trainings.stepsDone(run));
    String before = metrics("runs");
    trainings.requireSame(run);
    trainings.train(run);
    assertEquals(before, metrics("runs"));
  }

  @Test
  void anInterruptedRunGoesOn() throws Exception {
    StudyRun run = dense(STEPS).first();
    trainings("whole").train(run);
    Trainings trainings = trainings("runs");
    Thread study = Thread.currentThread();
    Path metrics = folder.resolve("runs/dense-1/metrics.jsonl");
    Thread interrupter =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (!Files.exists(metrics)) {
                    Thread.onSpinWait();
                  }
                  study.interrupt();
                });
    assertThrows(InterruptedException.class, () -> trainings.train(run), said::toString);
    interrupter.join();
    long done = trainings.stepsDone(run);
    assertTrue(done > 0 && done < STEPS, "interrupted after step " + done);
    trainings.train(run);
    assertEquals(STEPS, trainings.stepsDone(run));
    StudyBudget budget = new StudyBudget(STEPS, 1, 1, 1);
    Variant variant = budget.seeds("dense", Shapes.dense(8));
    assertEquals(bits("whole", variant), bits("runs", variant));
  }

  @Test
  void aStudentIsTaughtByItsTeachersRun() throws Exception {
    StudyBudget budget = new StudyBudget(2, 1, 1, 1);
    ModelConfig deep = Shapes.pyramid(8, true);
    KeptLayers kept = KeptLayers.of(3, deep);
    Variant teacher = budget.seeds("teacher", deep);
    Variant student =
        budget.students(
            "student", kept.config(deep), DistillationConfig.staged(kept.layers()), teacher);
    Trainings trainings = trainings("runs");
    trainings.train(student.first());
    assertEquals(2, trainings.stepsDone(teacher.first()));
    assertEquals(2, trainings.stepsDone(student.first()));
    String record = Files.readString(folder.resolve("runs/student-1/teacher.json"));
    assertTrue(record.contains("runs/teacher-1"), record);
  }

  @Test
  void aRunOfOtherSettingsIsRefused() throws Exception {
    trainings("runs").train(dense(2).first());
    IllegalArgumentException refused =
        assertThrows(
            IllegalArgumentException.class, () -> trainings("runs").requireSame(dense(3).first()));
    assertTrue(refused.getMessage().contains("dense-1 was trained with other settings"));
  }

  @Test
  void aFailedRunIsNamed() throws Exception {
    Files.delete(text);
    IOException failure =
        assertThrows(IOException.class, () -> trainings("runs").train(dense(2).first()));
    assertTrue(failure.getMessage().startsWith("the run dense-1 failed"), failure.getMessage());
    assertFalse(said.toString().isBlank());
  }
}
