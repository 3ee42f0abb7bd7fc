package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.harness.Main;
import panamoe.harness.SmallJvm;
import panamoe.harness.report.RoutedText;
import panamoe.harness.report.RunDirectory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@Tag("slow")
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DemoCommandTest {
  private static final int STEPS = 40;
  private static final int CTRL_C = 130;

  @TempDir private Path folder;

  @Test
  void aDemoThatCtrlCEndsGoesOnAndNothingIsTrainedTwice() throws Exception {
    Path runs = folder.resolve("demo");
    Path teacher = runs.resolve("teacher");
    String[] command = {"demo", "--steps", "" + STEPS, "--out", runs.toString()};
    stopAfterFirstCheckpoint(teacher, command);
    CommandRun demo = CommandRun.of(command);
    assertEquals(0, demo.exitCode(), demo.err());
    assertTrue(demo.err().contains("continuing after step "), demo.err());
    for (Path run : List.of(teacher, runs.resolve("student"))) {
      int steps = run == teacher ? STEPS : STEPS / 4;
      assertEquals(
          LongStream.rangeClosed(1, steps).boxed().toList(),
          RunDirectory.read(run).steps().stream().map(step -> step.step()).toList());
    }
    assertTrue(demo.err().contains("after step 40, at "), demo.err());
    assertTrue(demo.err().contains("after step 10, at "), "the student's last quarter");
    shows(demo.out(), runs);
    reports(runs);

    byte[] metrics = Files.readAllBytes(teacher.resolve("metrics.jsonl"));
    CommandRun again =
        CommandRun.of("demo", "--steps", "" + STEPS, "--json", "-o", runs.toString());
    assertEquals(0, again.exitCode(), again.err());
    assertEquals("the teacher\nthe student, with one layer less\n", again.err());
    assertArray(metrics, Files.readAllBytes(teacher.resolve("metrics.jsonl")));
    JsonNode told = JsonMapper.shared().readTree(again.out().lines().findFirst().orElseThrow());
    CommandRun eval = CommandRun.of("eval", teacher.toString(), "--dtype", "bf16", "--json");
    double measured = JsonMapper.shared().readTree(eval.out()).get("bits_per_byte").asDouble();
    assertEquals(measured, told.get("validation_bits_per_byte").asDouble(), 1e-4);

    CommandRun other = CommandRun.of("demo", "--steps", "8", "--out", runs.toString());
    assertEquals(1, other.exitCode());
    assertTrue(
        other
            .err()
            .endsWith(
                "panamoe demo: %s was begun by another version of the demo or with other options (training.steps was 40, is 8): remove %s, or choose another --out\n"
                    .formatted(teacher, runs)),
        other.err());
  }

  private void stopAfterFirstCheckpoint(Path run, String... command) throws Exception {
    Path said = folder.resolve("said.txt");
    Process demo =
        new ProcessBuilder(SmallJvm.interruptible(Main.class, command))
            .redirectErrorStream(true)
            .redirectOutput(said.toFile())
            .start();
    try {
      while (!Files.exists(run.resolve("checkpoints/latest"))) {
        assertTrue(demo.isAlive(), Files.readString(said));
        Thread.sleep(1);
      }
      new ProcessBuilder("kill", "-INT", "" + demo.pid()).start().waitFor();
      assertTrue(demo.waitFor(500, TimeUnit.SECONDS), Files.readString(said));
    } finally {
      demo.destroyForcibly();
    }
    assertEquals(CTRL_C, demo.exitValue(), Files.readString(said));
    String words = Files.readString(said);
    assertTrue(words.contains("which is saved; continue it by the same command\n"), words);
    assertFalse(Files.exists(run.resolveSibling("student")), words);
  }

  /** The end fits a screen, and its commands can be typed. */
  private static void shows(String out, Path runs) {
    List<String> lines = out.lines().toList();
    assertTrue(lines.size() <= 20, out);
    for (String line : lines) {
      assertTrue(line.replace(runs.getParent().toString(), "").length() <= 80, line);
    }
    assertTrue(out.contains("\nteacher        4    4,482,308 "), out);
    assertTrue(out.contains("\nstudent        3    3,229,058 "), out);
    assertTrue(out.contains("\ntime:    text "), out);
    Path teacher = runs.resolve("teacher");
    assertTrue(out.contains("\nreport:  " + teacher.resolve("report.html") + "\n"), out);
    assertTrue(out.contains("\nto try:  panamoe serve " + teacher + "\n"), out);
    assertEquals("panamoe chat " + teacher, lines.getLast().strip());
  }

  private static void reports(Path runs) throws IOException {
    Path teacher = runs.resolve("teacher");
    RoutedText french = RunDirectory.read(teacher).samples().get(2);
    assertEquals("Monsieur le Président,", french.prompt());
    assertEquals("fr", french.language());
    assertEquals(french.text(), String.join("", french.routes().pieces()));
    String routing = Files.readString(teacher.resolve("routing.json"));
    assertTrue(routing.startsWith("{\"languages\":[\"de\",\"en\",\"es\",\"fr\",\"it\"]"), routing);
    String report = Files.readString(teacher.resolve("report.html"));
    assertTrue(report.contains("<svg") && report.contains("Signor Presidente,"));
    Path student = runs.resolve("student");
    assertTrue(Files.readString(student.resolve("report.html")).contains("KL(teacher || student)"));
    assertTrue(Files.readString(student.resolve("samples.json")).contains("Herr Präsident,"));
  }

  private static void assertArray(byte[] expected, byte[] found) {
    assertEquals(new String(expected), new String(found));
  }

  @Test
  void aPlaceThatCannotBeWrittenIsOneSentence() throws IOException {
    Path file = Files.createFile(folder.resolve("file"));
    for (String out : List.of(file.toString(), file + "/demo", "/proc/demo")) {
      CommandRun refused = CommandRun.of("demo", "--out", out);
      assertEquals(1, refused.exitCode(), refused.err());
      assertEquals(1, refused.err().lines().count(), refused.err());
      assertTrue(refused.err().startsWith("panamoe demo: "), refused.err());
    }
    CommandRun train = CommandRun.of("train", "--out", "/proc/run");
    assertEquals(1, train.err().lines().count(), "before a tokenizer is trained: " + train.err());
  }

  /** What the demo tells of experts stands in the page that it names. */
  @Test
  void whatExpertsBringIsRecorded() throws IOException {
    String page = Files.readString(Path.of("../docs/results/quality.md"));
    for (String row : List.of("step", "PR-MoE", "dense")) {
      String told =
          DemoSummary.recorded()
              .lines()
              .map(String::strip)
              .filter(line -> line.startsWith(row + " "))
              .findFirst()
              .orElseThrow();
      assertTrue(page.contains("| " + told.replaceAll(" +", " | ") + " |"), told);
    }
  }
}
