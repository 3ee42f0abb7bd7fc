package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class OutcomeTest {
  @Test
  void numbersAreWrittenAlikeInEveryCountry() {
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.GERMANY);
    try {
      assertEquals(
          "trained 1,000 steps on 64,000 tokens in 12 s; validation 1.5000 bits per byte\nreport: report.html",
          new TrainingRun.Outcome(Path.of("run"), 1000, 64_000, 1.5, 12, Path.of("report.html")).toString());
    } finally {
      Locale.setDefault(before);
    }
  }
}
