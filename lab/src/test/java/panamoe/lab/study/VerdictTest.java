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
  static StudyPart part(String name) {
    return StudyCommand.parts(
            SyntheticStudy.BUDGET, (models, batches) -> new double[models.size()][batches.length])
        .stream()
        .filter(part -> part.claim().name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "S1 | dense=2.40 moe-4=2.39 moe-16=2.35 moe-64=2.305 dense-larger=2.30 | HOLDS",
        "S1 | dense=2.40 moe-4=2.39 moe-16=2.25 moe-64=2.41 dense-larger=2.30 | HOLDS",
        "S1 | dense=2.40 moe-4=2.39 moe-16=2.37 moe-64=2.34 dense-larger=2.30 | PARTLY",
        "S1 | dense=2.40 moe-4=2.39 moe-16=2.37 moe-64=2.36 dense-larger=2.30 | NOT_HERE",
        "S1 | dense=2.40 moe-4=2.42 moe-16=2.43 moe-64=2.44 dense-larger=2.50 | NOT_HERE",
        "S2 | first-half=2.40 second-half=2.38 | HOLDS",
        "S2 | first-half=2.40 second-half=2.39 | PARTLY",
        "S2 | first-half=2.40 second-half=2.41 | NOT_HERE",
        "S3 | moe-16=2.40 top-2=2.35 residual=2.36 | HOLDS",
        "S3 | moe-16=2.40 top-2=2.35 residual=2.37 | PARTLY",
        "S3 | moe-16=2.40 top-2=2.35 residual=2.39 | NOT_HERE",
        "S4 | moe-16=2.40 moe-64=2.30 pyramid=2.35 residual=2.35 pr-moe=2.31 | HOLDS",
        "S4 | moe-16=2.40 moe-64=2.30 pyramid=2.35 residual=2.35 pr-moe=2.34 | PARTLY",
        "S4 | moe-16=2.40 moe-64=2.30 pyramid=2.35 residual=2.35 pr-moe=2.36 | NOT_HERE",
        "S5 | pr-moe=2.30 no-kd=2.40 full-kd=2.33 staged-kd=2.32 staged-init=2.35 | HOLDS",
        "S5 | pr-moe=2.30 no-kd=2.40 full-kd=2.33 staged-kd=2.36 staged-init=2.32 | HOLDS",
        "S5 | pr-moe=2.30 no-kd=2.40 full-kd=2.31 staged-kd=2.32 staged-init=2.35 | PARTLY",
        "S5 | pr-moe=2.30 no-kd=2.40 full-kd=2.39 staged-kd=2.38 staged-init=2.35 | PARTLY",
        "S5 | pr-moe=2.30 no-kd=2.31 full-kd=2.39 staged-kd=2.32 staged-init=2.35 | NOT_HERE",
        "S6 | aux-0=2.40/0.3 capacity-1.0=2.41/0.1 aux-0.1=2.45/0.05 bias=2.4/0.1 | HOLDS",
        "S6 | aux-0=2.40/0.3 capacity-1.0=2.42/0.1 aux-0.1=2.45/0.05 bias=2.4/0.1 | PARTLY",
        "S6 | aux-0=2.40/0.3 capacity-1.0=2.40/0.2 aux-0.1=2.45/0.05 bias=2.4/0.1 | PARTLY",
        "S6 | aux-0=2.40/0.3 capacity-1.0=2.42/0.2 aux-0.1=2.45/0.05 bias=2.4/0.1 | NOT_HERE",
        "S7 | capacity-0.5=2.5 capacity-1.0=2.41 capacity-1.5=2.4 capacity-2.0=2.4 moe-16=2.40 | HOLDS",
        "S7 | capacity-0.5=2.5 capacity-1.0=2.44 capacity-1.5=2.4 capacity-2.0=2.4 moe-16=2.40 | PARTLY",
        "S7 | capacity-0.5=2.5 capacity-1.0=2.46 capacity-1.5=2.4 capacity-2.0=2.4 moe-16=2.40 | NOT_HERE",
      })
  void theRuleDecides(String name, String bits, Verdict verdict) {
    Finding finding = part(name).finding(SyntheticStudy.results(bits));
    assertEquals(verdict, finding.verdict(), finding.numbers());
  }

  @ParameterizedTest
  @CsvSource({"2.5, HOLDS", "2.3, PARTLY", "1.3, PARTLY", "1.1, NOT_HERE"})
  void inferenceIsJudgedAtBatch1(double faster, Verdict verdict) {
    Inference.Stopwatch stopwatch =
        (models, _) ->
            models.stream()
                .map(model -> new double[] {model.hasExperts() ? 1 : faster, 1, 1})
                .toArray(double[][]::new);
    Finding finding = new Inference(64, stopwatch).finding(SyntheticStudy.results("none=1"));
    assertEquals(verdict, finding.verdict(), finding.numbers());
  }

  @Test
  void trainingCostCountsTheFlopsToTheSameLoss() {
    StudyPart part = part("S1");
    // The larger model falls by 0.1 between evaluations, of which there are 12.
    String bits = "dense=2.6 moe-4=2.6 moe-16=2.6 moe-64=2.45 dense-larger=2.3";
    StudyRun larger = run(part, "dense-larger");
    StudyRun moe = run(part, "moe-64");
    double ratio = 10.5 / 12 * larger.flopsPerToken() / moe.flopsPerToken();
    String numbers = part.finding(SyntheticStudy.results(bits)).numbers();
    assertTrue(numbers.contains(Words.of("%.2f times the MoE model's", ratio)), numbers);
    String better = bits.replace("moe-64=2.45", "moe-64=2.25");
    numbers = part.finding(SyntheticStudy.results(better)).numbers();
    assertTrue(numbers.contains("does not come to the MoE model's loss"), numbers);
  }

  private static StudyRun run(StudyPart part, String variant) {
    return part.variants().stream()
        .filter(each -> each.name().equals(variant))
        .findFirst()
        .orElseThrow()
        .first();
  }

  @Test
  void aGapWithinTheSeedsIsSaidToBeOne() {
    // The combined deviation, 0.0014, is more than half a per cent of 0.2 and less than that of
    // 2.3.
    String bits = "moe-16=2.60 moe-64=%s pyramid=2.6 residual=2.6 pr-moe=%<s";
    assertTrue(numbers("S4", bits.formatted("0.2")).endsWith(", so that chance may decide."));
    assertTrue(numbers("S4", bits.formatted("2.3")).endsWith("together are 0.0014."));
  }

  private static String numbers(String part, String bits) {
    return part(part).finding(SyntheticStudy.results(bits)).numbers();
  }

  @Test
  void droppedRoutesAreNotSent() {
    String sent = "moe-16=2.4/0.5 top-2=2.35 residual=2.36";
    StudyTable table = part("S3").finding(SyntheticStudy.results(sent)).table();
    // Two ways of hidden * 4 bytes, for one or two experts, with half of the routes dropped.
    int bytes = 2 * Shapes.HIDDEN * 4;
    assertEquals(String.valueOf(bytes / 2), table.rows().get(0).getLast());
    assertEquals(String.valueOf(2 * bytes), table.rows().get(1).getLast());
    assertEquals(String.valueOf(bytes), table.rows().get(2).getLast());
  }

  @Test
  void aDifferenceWithinTheSeedsIsNotClear() {
    SeedSample low = SeedSample.of(2.29, 2.30, 2.31);
    assertEquals("2.3000 ± 0.0100", low.toString());
    assertFalse(low.clearlyBelow(SeedSample.of(2.30, 2.31, 2.32)));
    assertTrue(low.clearlyBelow(SeedSample.of(2.31, 2.32, 2.33)));
    assertFalse(SeedSample.of(2.30).clearlyBelow(SeedSample.of(2.31)));
    assertTrue(SeedSample.of(2.30).clearlyBelow(SeedSample.of(2.313)));
  }
}
