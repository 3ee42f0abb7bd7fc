package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.harness.report.RoutedText;
import panamoe.harness.report.RunDirectory;

@Tag("slow")
class DemoCommandTest {
  @TempDir private Path folder;

  @Test
  void aShortDemoTrainsWritesAndShowsWhichExpertsEachLanguageUses() throws IOException {
    Path runs = folder.resolve("demo");
    CommandRun demo = CommandRun.of("demo", "--steps", "4", "--out", runs.toString());
    assertEquals(0, demo.exitCode(), demo.err());
    assertTrue(demo.out().contains("Herr Präsident,"), demo.out());
    assertTrue(demo.out().contains("trained 1 step"), demo.out());
    assertTrue(demo.out().contains("trained tokens/s"), demo.out());
    String typed = demo.out().lines().toList().getLast();
    assertEquals(
        "more text: panamoe generate " + runs.resolve("student") + " -p \"Mr President,\"", typed);
    String[] words = typed.replaceFirst("^more text: panamoe ", "").split(" (?!President)");
    assertEquals(0, CommandRun.of(words).exitCode(), typed);
    Path run = runs.resolve("teacher");
    for (String name : new String[] {"teacher", "student"}) {
      String closing = ": " + runs.resolve(name).resolve("report.html");
      assertTrue(demo.out().contains(closing), demo.out());
    }
    RoutedText french = RunDirectory.read(run).samples().get(2);
    assertEquals("Monsieur le Président,", french.prompt());
    assertEquals("fr", french.language());
    assertEquals(french.text(), String.join("", french.routes().pieces()));
    String remembered = Files.readString(run.resolve("text.json"));
    assertTrue(
        remembered.contains("\"languages\" : [ \"de\", \"en\", \"es\", \"fr\", \"it\" ]"),
        remembered);
    String routing = Files.readString(run.resolve("routing.json"));
    assertTrue(routing.startsWith("{\"languages\":[\"de\",\"en\",\"es\",\"fr\",\"it\"]"), routing);
    String report = Files.readString(run.resolve("report.html"));
    assertTrue(report.contains("<svg") && report.contains("Signor Presidente,"));
    Path student = runs.resolve("student");
    assertTrue(Files.readString(student.resolve("report.html")).contains("KL(teacher || student)"));
    assertTrue(Files.readString(student.resolve("samples.json")).contains("Herr Präsident,"));
  }
}
