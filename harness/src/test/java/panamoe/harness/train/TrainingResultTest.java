package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Locale;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import panamoe.train.PairMetrics;
import panamoe.train.Validation;

class TrainingResultTest {
  private static TrainingResult outcome(String folder, long before) {
    return new TrainingResult(
        Path.of(folder),
        before,
        1000,
        64,
        validated(before == 1000 ? 0 : 4096),
        12,
        Path.of("report.html"));
  }

  private static TrainingResult.Validated validated(long tokens) {
    Validation.Score score = new Validation.Score(1.5, null);
    return new TrainingResult.Validated(score, tokens, OptionalLong.empty());
  }

  private static TrainingResult outcome(long before) {
    return outcome("run", before);
  }

  @Test
  void aFolderIsWrittenAsAShellTakesIt() {
    assertTrue(
        outcome("a/b-1.x", 1000).toString().endsWith(" --out a/b-1.x --resume --steps 2000"));
    assertTrue(
        outcome("my run", 1000).toString().endsWith(" --out 'my run' --resume --steps 2000"));
    assertTrue(
        outcome("it's", 1000).toString().endsWith(" --out 'it'\\''s' --resume --steps 2000"));
  }

  @Test
  void timeGoesWithTheStepsThatTookIt() {
    assertTrue(
        outcome(900)
            .toString()
            .startsWith("trained steps 901 to 1,000 on 6,400 tokens in 12 s; validation "));
    assertEquals(
        "already complete: 1,000 steps on 64,000 tokens; validation 1.5000 bits per byte\nreport: report.html\n"
            + "to train it further: panamoe train --out run --resume --steps 2000",
        outcome(1000).toString());
  }

  @Test
  void oneStepIsNoSteps() {
    assertTrue(
        outcome(999).toString().startsWith("trained step 1,000 on 64 tokens in "),
        outcome(999).toString());
    TrainingResult first =
        new TrainingResult(Path.of("run"), 0, 1, 1, validated(4096), 12, Path.of("report.html"));
    assertTrue(
        first.toString().startsWith("trained 1 step on 1 token in 12 s; "), first.toString());
  }

  @Test
  void pairsAndTheBestStepAreNamed() {
    Validation.Score score = new Validation.Score(1.5, new PairMetrics(0.25, 2, 0.875));
    TrainingResult.Validated validated =
        new TrainingResult.Validated(score, 8, OptionalLong.of(40));
    TrainingResult result =
        new TrainingResult(Path.of("run"), 0, 60, 10, validated, 12, Path.of("report.html"));
    assertEquals(
        "trained 60 steps on 600 tokens in 12 s; validation loss 0.2500, 87.5 % of the pairs right on 8 pairs\n"
            + "best: step 40, whose checkpoint generate opens\nreport: report.html",
        result.toString());
    assertTrue(result.toJson().contains("\"best_step\":40"), result.toJson());
    assertTrue(result.toJson().contains("\"validation_pair_accuracy\":0.875"), result.toJson());
  }

  @Test
  void numbersAreWrittenAlikeInEveryCountry() {
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.GERMANY);
    try {
      assertEquals(
          "trained 1,000 steps on 64,000 tokens in 12 s; validation 1.5000 bits per byte on 4,096 tokens\nreport: report.html",
          outcome(0).toString());
    } finally {
      Locale.setDefault(before);
    }
  }
}
