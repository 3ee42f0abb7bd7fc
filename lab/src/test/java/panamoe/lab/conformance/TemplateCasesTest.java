package panamoe.lab.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.lab.conformance.jinja.TemplateCases;
import panamoe.lab.conformance.replay.CaseResult;

/** Replays released models' chat templates against texts of Jinja2. */
class TemplateCasesTest {
  @Test
  void everyTextIsEqualAndEveryFailureFails() throws Exception {
    Path folder = RecordedCasesTest.folder().resolve("templates");
    assertEquals(List.of(folder), TemplateCases.folders(RecordedCasesTest.folder()));
    List<CaseResult> results = TemplateCases.replay(folder, folder);
    for (CaseResult result : results) {
      assertTrue(result.passed(), result.line());
      assertTrue(!result.line().contains("we do not"), result.line());
    }
    assertEquals(323 + 22 + 51, results.size());
    assertEquals(51, results.stream().filter(result -> !result.notes().isEmpty()).count());
  }

  @Test
  void theCommandTellsWhatDiffers(@TempDir Path folder) throws Exception {
    write(
        folder,
        "index.json",
        "{'now':'2026-01-02T15:04:05','templates':["
            + "{'name':'t','template':'t.jinja','expected':'t.json'},"
            + "{'name':'u','template':'u.jinja','expected':'u.json'}]}");
    write(folder, "u.json", "{'a':{'text':'x'}}");
    write(folder, "conversations.json", "{'a':{'x':'1'},'b':{'x':'2'},'c':{}}");
    write(folder, "t.jinja", "x is {{ x.strip() }}");
    write(folder, "t.json", "{'a':{'text':'x is 1'},'b':{'text':'x is 3'},'c':{'error':'other'}}");
    CommandRun run = CommandRun.of("conformance", folder.toString(), "--device", "reference");
    assertEquals(1, run.exitCode(), run.err());
    assertEquals(
        List.of(
            "ok   t/a: the same text",
            "FAIL t/b: after 5 characters there is '2', expected '3'",
            "ok   t/c: not compared  [Jinja2 fails, too]",
            "FAIL u/a: the template " + folder.resolve("u.jinja") + " is absent",
            "2 passed, 2 failed"),
        run.out().lines().toList());
  }

  private static void write(Path folder, String name, String json) throws Exception {
    Files.write(folder.resolve(name), json.replace('\'', '"').getBytes(StandardCharsets.UTF_8));
  }
}
