package panamoe.lab.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.io.Words;
import panamoe.train.RunConfig;

/** Tests the study's runs and their estimated times. */
class StudyPlanTest {
  private static final long TOKENS = 4_096_000;

  @TempDir private Path folder;

  private static List<StudyPart> parts(StudyBudget budget) {
    return StudyCommand.parts(
        budget, (models, batches) -> new double[models.size()][batches.length]);
  }

  private static Collection<StudyRun> runs(StudyBudget budget) {
    return StudyCommand.runs(parts(budget));
  }

  private static double minutes(Collection<StudyRun> runs) {
    return runs.stream().mapToDouble(StudyRun::seconds).sum() / 60;
  }

  @Test
  void theWholeTakesAtMostFourHoursAndTheQuickOneAQuarterOfAnHour() {
    Collection<StudyRun> full = runs(StudyBudget.full(1));
    Collection<StudyRun> quick = runs(StudyBudget.quick(1));
    assertTrue(minutes(full) > 120 && minutes(full) <= 240, "minutes: " + minutes(full));
    assertTrue(minutes(quick) <= 15, "minutes: " + minutes(quick));
    full.forEach(run -> assertEquals(TOKENS, run.tokens(), run.name()));
    quick.forEach(run -> assertEquals(TOKENS / 10, run.tokens(), run.name()));
  }

  @Test
  void somePartsHaveThreeSeedsTheOthersOne() {
    for (StudyPart part : parts(StudyBudget.full(7))) {
      int seeds = List.of("S1", "S4", "S5").contains(part.claim().name()) ? 3 : 1;
      for (Variant variant : part.variants()) {
        List<Long> found = variant.runs().stream().map(run -> run.config().seed()).toList();
        assertEquals(
            List.of(7L, 8L, 9L).subList(0, seeds), found, part.claim().name() + variant.name());
      }
    }
  }

  @Test
  void oneNameIsOneConfigAndTeachersComeBeforeTheirStudents() throws IOException {
    Map<String, RunConfig> configs = new HashMap<>();
    List<String> before = new ArrayList<>();
    for (StudyPart part : parts(StudyBudget.full(1))) {
      for (Variant variant : part.variants()) {
        for (StudyRun run : variant.runs()) {
          assertEquals(run.config(), configs.computeIfAbsent(run.name(), _ -> run.config()));
          assertEquals(run.config().distillation() != null, run.teacher() != null, run.name());
          if (run.teacher() != null) {
            assertTrue(before.contains(run.teacher().name()), run.name());
            assertEquals(run.config().seed(), run.teacher().config().seed());
          }
          before.add(run.name());
        }
      }
    }
    for (Map.Entry<String, RunConfig> each : configs.entrySet()) {
      Path file = Files.writeString(folder.resolve(each.getKey()), each.getValue().toJson());
      assertEquals(each.getValue(), RunConfig.read(file));
    }
  }

  @Test
  void modelsHaveTheRatiosThatTheyStandFor() {
    Map<String, StudyRun> runs =
        runs(StudyBudget.full(1)).stream().collect(Collectors.toMap(StudyRun::name, run -> run));
    double flops = runs.get("dense-1").flopsPerToken();
    for (String moe : List.of("moe-4-1", "moe-16-1", "moe-64-1")) {
      assertEquals(1, runs.get(moe).flopsPerToken() / flops, 0.04, moe);
    }
    double dense = runs.get("dense-1").parameters();
    assertEquals(4.5, runs.get("dense-larger-1").parameters() / dense, 0.5);
    assertEquals(
        1, runs.get("residual-1").flopsPerToken() / runs.get("top-2-1").flopsPerToken(), 0.02);
    double standard = runs.get("moe-64-1").parameters();
    assertEquals(3.7, standard / runs.get("staged-kd-1").parameters(), 0.3);
  }

  @Test
  void theListSaysWhatIsLeft() {
    StudyRun run = runs(StudyBudget.full(1)).iterator().next();
    String fresh = new RunList(List.of(run), _ -> 0).toString();
    String half = new RunList(List.of(run), _ -> 2000).toString();
    String done = new RunList(List.of(run), _ -> 4000).toString();
    assertTrue(fresh.contains(Words.of(" 0 %% %13.1f", run.seconds() / 60)), fresh);
    assertTrue(half.contains(Words.of("50 %% %13.1f", run.seconds() / 120)), half);
    assertTrue(done.contains(Words.of("100 %% %13.1f", 0.0)), done);
  }

  @Test
  void listingTrainsNothing() {
    Path out = folder.resolve("study");
    CommandRun listed = CommandRun.of("study", "--list", "S2", "s7", "--out", out.toString());
    assertEquals(0, listed.exitCode(), listed.err());
    assertTrue(listed.out().contains("second-half-1"), listed.out());
    assertTrue(listed.out().contains("7 runs"), listed.out());
    assertFalse(Files.exists(out));
  }

  @Test
  void withoutPartsItSaysHowToStart() {
    Path out = folder.resolve("study");
    CommandRun asked = CommandRun.of("study", "--out", out.toString());
    assertEquals(0, asked.exitCode(), asked.err());
    assertTrue(asked.out().contains("46 runs"), asked.out());
    assertEquals(
        "nothing is trained yet: give --all, parts such as S1 S5, or --quick\n", asked.err());
    assertFalse(Files.exists(out));
    CommandRun both = CommandRun.of("study", "--all", "S1", "--out", out.toString());
    assertEquals(2, both.exitCode());
    assertTrue(both.err().contains("give --all or parts, not both"), both.err());
  }

  @Test
  void anUnknownPartIsRefused() {
    CommandRun run = CommandRun.of("study", "S9", "--out", folder.toString());
    assertEquals(2, run.exitCode());
    assertTrue(run.err().startsWith("panamoe study: there is no part 'S9', expected"), run.err());
  }
}
