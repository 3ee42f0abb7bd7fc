package panamoe.lab.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests the page of a study with made-up numbers. */
class StudyPageTest {
  private static final String BITS =
      """
      dense=2.4 moe-4=2.39 moe-16=2.35/0.01 moe-64=2.31 dense-larger=2.30
      first-half=2.40 second-half=2.39 top-2=2.35 residual=2.36 pyramid=2.34 pr-moe=2.31
      no-kd=2.40 full-kd=2.33 staged-kd=2.32 staged-init=2.35
      aux-0=2.40/0.3 capacity-1.0=2.42/0.2 aux-0.1=2.45/0.05 bias=2.4/0.1
      capacity-0.5=2.5/0.4 capacity-1.5=2.4 capacity-2.0=2.4
      """;

  @TempDir private Path folder;

  private Map<StudyPart, Finding> findings() {
    StudyResults results = SyntheticStudy.results(BITS);
    Map<StudyPart, Finding> findings = new LinkedHashMap<>();
    for (StudyPart part :
        StudyCommand.parts(SyntheticStudy.BUDGET, (models, _) -> seconds(models.size()))) {
      findings.put(part, part.finding(results));
    }
    return findings;
  }

  private static double[][] seconds(int models) {
    double[][] seconds = new double[models][];
    Arrays.setAll(seconds, model -> new double[] {1.0 / (1 + model), 2, 4});
    return seconds;
  }

  @Test
  void everyPartHasItsRuleTableFigureAndVerdict() throws Exception {
    Map<StudyPart, Finding> findings = findings();
    String page = Files.readString(StudyPage.write(folder, "Introduction.", findings));
    String oneLine = page.replace('\n', ' ');
    for (Map.Entry<StudyPart, Finding> each : findings.entrySet()) {
      StudyPart part = each.getKey();
      Finding finding = each.getValue();
      assertTrue(
          page.contains("\n## " + part.claim().name() + ": " + part.claim().title() + "\n"),
          part.claim().name());
      assertTrue(oneLine.contains("Holds if: " + part.claim().rule()), part.claim().rule());
      assertTrue(
          oneLine.contains("It " + finding.verdict() + ": " + finding.numbers()),
          part.claim().name());
      assertTrue(page.contains(finding.table().markdown()), part.claim().name());
      assertTrue(
          Pattern.compile("!\\[.+ by .+]\\(study/" + part.claim().name() + ".svg\\)")
              .matcher(page)
              .find(),
          part.claim().name());
      Path figure = folder.resolve("study").resolve(part.claim().name() + ".svg");
      DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(figure.toFile());
    }
    assertTrue(page.contains("| S2: Which layers need experts | holds partly |"), page);
  }

  @Test
  void proseFitsTheColumnsAndTablesAreWhole() {
    for (String line : StudyPage.text("Word ".repeat(100).strip(), findings()).lines().toList()) {
      assertTrue(line.startsWith("|") || line.length() <= 120, line);
      assertTrue(!line.startsWith("|") || line.endsWith("|"), line);
    }
    for (Finding finding : findings().values()) {
      int columns = finding.table().head().size();
      finding.table().rows().forEach(row -> assertEquals(columns, row.size(), row.toString()));
    }
  }

  @Test
  void aSampleStandsInTheTableWithItsDeviation() {
    List<String> row = findings().values().iterator().next().table().rows().getFirst();
    assertEquals("dense", row.getFirst());
    assertEquals("2.4000 ± 0.0010", row.getLast());
  }

  @Test
  void aQuickStudySaysThatItConcludesNothing() {
    String quick = StudyCommand.introduction(StudyBudget.quick(1), true);
    assertTrue(quick.contains("quick: too few tokens to conclude"), quick);
    assertTrue(!StudyCommand.introduction(StudyBudget.full(1), false).contains("too few"));
  }
}
