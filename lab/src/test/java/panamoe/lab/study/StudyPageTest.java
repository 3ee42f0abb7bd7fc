package panamoe.lab.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
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
      teacher=2.3 teacher-twice=2.29 dense-64=2.4 dense-144=2.1 moe-4=2.39 moe-16=2.35/0.01 moe-64=2.31
      first-half=2.40 second-half=2.39 top-2=2.35 residual=2.36 pyramid=2.34 pr-moe=2.31
      moe-16-wide=2.3 top-2-wide=2.2 residual-wide=2.21
      scratch-of-7=2.4 no-kd-of-7=2.40 full-kd-of-7=2.33 staged-70-of-7=2.32 staged-40-of-7=2.35
      staged-90-of-7=2.3 on-policy-of-7=2.3 no-kd-of-6=2.4 full-kd-of-6=2.4 staged-70-of-6=2.35
      aux-0=2.40/0.3 capacity-1.0=2.42/0.2 aux-0.1=2.45/0.05 bias=2.4/0.1
      capacity-0.5=2.5/0.4 capacity-1.5=2.4 capacity-2.0=2.4
      """;

  @TempDir private Path folder;

  private Map<StudyPart, Finding> findings() {
    SyntheticStudy study = new SyntheticStudy(BITS);
    Map<StudyPart, Finding> findings = new LinkedHashMap<>();
    study.parts(3, 2, 1).forEach(part -> findings.put(part, study.finding(part)));
    return findings;
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
    String row =
        "| S2: Which layers need experts | second half better | 0.0100 less | holds | `ci/study S2` |";
    assertTrue(page.contains(row), page);
    assertTrue(page.indexOf("study/S4.svg") < page.indexOf("## S0"), "one figure leads");
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
    assertEquals("teacher", row.getFirst());
    assertEquals("2.3000 ± 0.0010", row.getLast());
  }

  @Test
  void aQuickStudySaysThatItConcludesNothing() {
    String quick = StudyCommand.introduction(StudyBudget.quick(1), true);
    assertTrue(quick.contains("quick: too few tokens to conclude"), quick);
    assertTrue(!StudyCommand.introduction(StudyBudget.full(1), false).contains("too few"));
  }
}
