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
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.harness.CommandRun;
import panamoe.io.Words;
import panamoe.model.LanguageModel;
import panamoe.train.RunConfig;

/** Tests the study's runs and their estimated times. */
class StudyPlanTest {
  @TempDir private Path folder;

  private static List<StudyPart> parts(StudyBudget budget) {
    return StudyCommand.parts(
        budget,
        (models, batches) -> new double[models.size()][batches.length],
        new SyntheticStudy("none=1").measurements());
  }

  private static Collection<StudyRun> runs(StudyBudget budget) {
    return StudyCommand.runs(parts(budget));
  }

  private static double minutes(Collection<StudyRun> runs) {
    return runs.stream().mapToDouble(StudyRun::seconds).sum() / 60;
  }

  /** Without the widths that bisection asks for: at most four, of which half are wide. */
  @Test
  void aPartTakesAtMost150MinutesOfACoreAndTheWholeTenHours() {
    double bisection = 0;
    for (int width : new int[] {104, 120, 128, 136}) {
      bisection += minutes(StudyBudget.full(1).seeds("dense-" + width, Shapes.dense(width)).runs());
    }
    double all = minutes(runs(StudyBudget.full(1))) + bisection;
    assertTrue(all > 480 && all <= 600, "minutes: " + all);
    Collection<StudyRun> quick = runs(StudyBudget.quick(1));
    assertTrue(minutes(quick) <= 20, "minutes: " + minutes(quick));
    Set<String> before = new HashSet<>();
    for (StudyPart part : parts(StudyBudget.full(1))) {
      List<StudyRun> own =
          part.variants().stream()
              .flatMap(variant -> variant.runs().stream())
              .filter(run -> before.add(run.name()))
              .toList();
      double more = part.claim() == Claim.S1 ? bisection : 0;
      assertTrue(minutes(own) + more <= 150, part.claim() + ": " + (minutes(own) + more));
    }
  }

  @Test
  void everyVariantHasThreeSeedsOrFive() {
    for (StudyPart part : parts(StudyBudget.full(7))) {
      for (Variant variant : part.variants()) {
        List<Long> found = variant.runs().stream().map(run -> run.config().seed()).toList();
        int seeds = found.size();
        assertTrue(seeds == 3 || seeds == 5, part.claim().name() + variant.name());
        assertEquals(List.of(7L, 8L, 9L, 10L, 11L).subList(0, seeds), found, variant.name());
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
    double flops = runs.get("dense-64-1").flopsPerToken();
    for (String moe : List.of("moe-4-1", "moe-16-1", "moe-64-1")) {
      assertEquals(1, runs.get(moe).flopsPerToken() / flops, 0.04, moe);
    }
    double dense = runs.get("dense-64-1").parameters();
    assertEquals(4.5, runs.get("dense-144-1").parameters() / dense, 0.5);
    assertEquals(
        1, runs.get("residual-1").flopsPerToken() / runs.get("top-2-1").flopsPerToken(), 0.02);
    double student = runs.get("staged-70-of-7-1").parameters();
    try (LanguageModel standard = new LanguageModel(Shapes.standard())) {
      assertEquals(3.7, standard.parameters().count() / student, 0.7);
    }
  }

  @Test
  void theListSaysWhatIsLeft() {
    StudyRun run = runs(StudyBudget.full(1)).iterator().next();
    String fresh = new RunList(List.of(run), _ -> 0).toString();
    long steps = run.config().training().schedule().steps();
    String half = new RunList(List.of(run), _ -> steps / 2).toString();
    String done = new RunList(List.of(run), _ -> steps).toString();
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
    assertTrue(listed.out().contains("31 runs"), listed.out());
    assertFalse(Files.exists(out));
  }

  @Test
  void withoutPartsItSaysHowToStart() {
    Path out = folder.resolve("study");
    CommandRun asked = CommandRun.of("study", "--out", out.toString());
    assertEquals(0, asked.exitCode(), asked.err());
    assertTrue(asked.out().contains(" runs"), asked.out());
    assertEquals(
        "nothing is trained yet: give --all, parts such as S1 S5, or --quick\n", asked.err());
    assertFalse(Files.exists(out));
    CommandRun both = CommandRun.of("study", "--all", "S1", "--out", out.toString());
    assertEquals(2, both.exitCode());
    assertTrue(both.err().contains("give --all or parts, not both"), both.err());
  }

  @Test
  void anUnknownPartIsRefused() {
    CommandRun run = CommandRun.of("study", "S12", "--out", folder.toString());
    assertEquals(2, run.exitCode());
    assertTrue(run.err().startsWith("panamoe study: there is no part 'S12', expected"), run.err());
  }
}
