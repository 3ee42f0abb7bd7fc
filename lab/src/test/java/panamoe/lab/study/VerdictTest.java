package panamoe.lab.study;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.io.Words;

/** Tests every part's rule on both sides of its limits. */
class VerdictTest {
  private static final String S5 =
      " full-kd-of-7=2.31 scratch-of-7=2.4 staged-40-of-7=2.3 staged-90-of-7=2.3 ";

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "S0 | teacher=2.30 teacher-twice=2.29 | HOLDS",
        "S0 | teacher=2.30 teacher-twice=2.27 | NOT_HERE",
        "S1 | dense-64=2.4 dense-144=2.1 moe-4=2.39 moe-16=2.3 moe-64=2.10 | HOLDS",
        "S1 | dense-64=2.4 dense-144=2.1 moe-4=2.39 moe-16=2.3 moe-64=2.22 | PARTLY",
        "S1 | dense-64=2.4 dense-144=2.1 moe-4=2.39 moe-16=2.3 moe-64=2.38 | NOT_HERE",
        "S2 | first-half=2.40 second-half=2.38 | HOLDS",
        "S2 | first-half=2.40 second-half=2.40 | UNDECIDED",
        "S2 | first-half=2.40 second-half=2.41 | NOT_HERE",
        "S3 | moe-16=2.4 top-2=2.35 residual=2.36 moe-16-wide=2.3 top-2-wide=2.2 residual-wide=2.21 | HOLDS",
        "S3 | moe-16=2.4 top-2=2.35 residual=2.36 moe-16-wide=2.3 top-2-wide=2.2 residual-wide=2.29 | PARTLY",
        "S3 | moe-16=2.4 top-2=2.35 residual=2.36 moe-16-wide=2.2 top-2-wide=2.2 residual-wide=2.29 | PARTLY",
        "S3 | moe-16=2.4 top-2=2.35 residual=2.40 moe-16-wide=2.2 top-2-wide=2.2 residual-wide=2.29 | NOT_HERE",
        "S4 | moe-16=2.40 moe-64=2.30 pyramid=2.35 residual=2.35 pr-moe=2.31 | HOLDS",
        "S4 | moe-16=2.40 moe-64=2.30 pyramid=2.35 residual=2.35 pr-moe=2.34 | PARTLY",
        "S4 | moe-16=2.40 moe-64=2.30 pyramid=2.35 residual=2.35 pr-moe=2.41 | NOT_HERE",
        "S6 | aux-0=2.40/0.3 capacity-1.0=2.41/0.1 aux-0.1=2.45/0.05 bias=2.4/0.1 | HOLDS",
        "S6 | aux-0=2.40/0.3 capacity-1.0=2.43/0.1 aux-0.1=2.45/0.05 bias=2.4/0.1 | PARTLY",
        "S6 | aux-0=2.40/0.3 capacity-1.0=2.40/0.2 aux-0.1=2.45/0.05 bias=2.4/0.1 | PARTLY",
        "S6 | aux-0=2.40/0.3 capacity-1.0=2.43/0.2 aux-0.1=2.45/0.05 bias=2.4/0.1 | NOT_HERE",
        "S7 | capacity-0.5=2.5 capacity-1.0=2.41 capacity-1.5=2.4 capacity-2.0=2.4 moe-16=2.40 | HOLDS",
        "S7 | capacity-0.5=2.5 capacity-1.0=2.44 capacity-1.5=2.4 capacity-2.0=2.4 moe-16=2.40 | PARTLY",
        "S7 | capacity-0.5=2.5 capacity-1.0=2.46 capacity-1.5=2.4 capacity-2.0=2.4 moe-16=2.40 | NOT_HERE",
        "S9 | teacher=2.3 staged-70-of-7=2.30 on-policy-of-7=2.29 | HOLDS",
        "S9 | teacher=2.3 staged-70-of-7=2.30 on-policy-of-7=2.30 | NOT_HERE",
        "S9 | teacher=2.3 staged-70-of-7=2.30 on-policy-of-7=2.34 | NOT_HERE",
        "S10 | moe-64=2.2 moe-64-without-25-by-load=2.4 moe-64-without-25-by-reap=2.3 moe-64-without-50-by-load=2.8 moe-64-without-50-by-reap=2.7 | HOLDS",
        "S10 | moe-64=2.2 moe-64-without-25-by-load=2.4 moe-64-without-25-by-reap=2.3 moe-64-without-50-by-load=2.8 moe-64-without-50-by-reap=2.9 | PARTLY",
        "S10 | moe-64=2.2 moe-64-without-25-by-load=2.3 moe-64-without-25-by-reap=2.3 moe-64-without-50-by-load=2.8 moe-64-without-50-by-reap=2.9 | NOT_HERE",
        "S11 | teacher=2.3 no-kd-of-6=2.35 full-kd-of-6=2.34 staged-70-of-6=2.33 | PARTLY",
      })
  void theRuleDecides(String name, String bits, Verdict verdict) {
    Finding finding = new SyntheticStudy(bits).finding(name);
    assertEquals(verdict, finding.verdict(), finding.numbers());
  }

  @ParameterizedTest
  @CsvSource({
    "2.31, 2.35, HOLDS", // 99.6 %
    "2.33, 2.35, PARTLY", // 98.7 %
    "2.31, 2.31, NOT_HERE", // as good without a teacher
    "2.33, 2.32, NOT_HERE",
  })
  void aStudentIsComparedWithTheSameStartWithoutATeacher(
      double staged, double control, Verdict verdict) {
    String bits = "teacher=2.30" + S5 + "staged-70-of-7=" + staged + " no-kd-of-7=" + control;
    Finding finding = new SyntheticStudy(bits).finding("S5");
    assertEquals(verdict, finding.verdict(), finding.numbers());
    String better = bits.replace("full-kd-of-7=2.31", "full-kd-of-7=2.29");
    assertTrue(new SyntheticStudy(better).finding("S5").verdict() != Verdict.HOLDS);
  }

  @ParameterizedTest
  @CsvSource({
    "2.5, 2.22, HOLDS",
    "2.3, 2.22, PARTLY",
    "1.3, 2.22, PARTLY",
    "1.1, 2.22, NOT_HERE",
    "2.5, 2.30, NOT_HERE" // faster, but worse than the dense model
  })
  void inferenceIsJudgedAtEqualQuality(double faster, double bits, Verdict verdict) {
    String trained = "dense-64=2.4 dense-144=2.1 moe-64=2.22 pr-moe=" + bits;
    Finding finding = new SyntheticStudy(trained).finding("S8", faster, 1, 1);
    assertEquals(verdict, finding.verdict(), finding.numbers());
    assertEquals("dense of equal quality", finding.table().rows().getFirst().getFirst());
  }

  /** 2.4 - 0.3 (w - 64) / 80 is 2.22 at w = 112. */
  @Test
  void theDenseModelOfTheSameLossIsFoundByBisection() {
    String bits = "dense-64=2.4 dense-144=2.1 moe-4=2.39 moe-16=2.3 moe-64=2.22";
    SyntheticStudy study = new SyntheticStudy(bits);
    StudyPart part = study.part("S1");
    Finding finding = study.finding(part);
    double ratio = run(part, "dense-112").flopsPerToken() / run(part, "moe-64").flopsPerToken();
    assertTrue(finding.numbers().contains("dense-112 2.2200"), finding.numbers());
    assertTrue(
        finding.numbers().contains(Words.of("%.2f times the FLOPs", ratio)), finding.numbers());
    assertTrue(part.variants().size() <= 3 + 2 + 4, "widths trained");
    String numbers =
        new SyntheticStudy(bits.replace("moe-64=2.22", "moe-64=2.05")).finding("S1").numbers();
    assertTrue(numbers.contains("which is the end of the search"), numbers);
  }

  private static StudyRun run(StudyPart part, String variant) {
    return part.variants().stream()
        .filter(each -> each.name().equals(variant))
        .findFirst()
        .orElseThrow()
        .first();
  }

  @Test
  void droppedRoutesAreNotSent() {
    String sent =
        "moe-16=2.4/0.5 top-2=2.35 residual=2.36 moe-16-wide=2.3 top-2-wide=2.2 residual-wide=2.21";
    StudyTable table = new SyntheticStudy(sent).finding("S3").table();
    // Two ways of hidden * 4 bytes, for one or two experts, with half of the routes dropped.
    int bytes = 2 * Shapes.HIDDEN * 4;
    assertEquals(String.valueOf(bytes / 2), table.rows().get(0).getLast());
    assertEquals(String.valueOf(2 * bytes), table.rows().get(1).getLast());
    assertEquals(String.valueOf(bytes), table.rows().get(2).getLast());
    assertEquals(
        String.valueOf(4 * Shapes.WIDER * 4), table.rows().get(4).getLast()); // top-2, wide
  }

  /** t of means 0.02 apart with three of deviation 0.01 is 2.45: p = 0.035, of 0.015 0.07. */
  @Test
  void testsUseBothDeviations() {
    SeedSample low = SeedSample.of(2.29, 2.30, 2.31);
    assertEquals("2.3000 ± 0.0100", low.toString());
    assertTrue(low.below(SeedSample.of(2.31, 2.32, 2.33)));
    assertFalse(low.below(SeedSample.of(2.305, 2.315, 2.325)));
    assertFalse(low.below(SeedSample.of(2.27, 2.32, 2.37)));
    assertFalse(SeedSample.of(2.3).below(SeedSample.of(2.4)), "single runs show nothing");
    assertTrue(low.notWorse(low, 0.02));
    assertFalse(low.notWorse(low, 0.015));
    assertTrue(low.equivalent(low, 0.02));
    SeedSample less = SeedSample.of(2.27, 2.28, 2.29);
    assertTrue(less.notWorse(low, 0.02));
    assertFalse(less.equivalent(low, 0.02), "not shown to be near from the other side");
  }

  @Test
  void aClaimAboutTwoThingsNeedsBoth() {
    assertEquals(Verdict.HOLDS, Verdict.HOLDS.and(Verdict.HOLDS));
    assertEquals(Verdict.PARTLY, Verdict.HOLDS.and(Verdict.NOT_HERE));
    assertEquals(Verdict.PARTLY, Verdict.UNDECIDED.and(Verdict.PARTLY));
    assertEquals(Verdict.NOT_HERE, Verdict.NOT_HERE.and(Verdict.NOT_HERE));
    assertEquals(Verdict.UNDECIDED, Verdict.UNDECIDED.and(Verdict.NOT_HERE));
  }
}
