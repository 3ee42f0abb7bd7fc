package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.BitSet;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against draws. */
class ExpectedMostTest {
  private static final int RUNS = 3000;

  @ParameterizedTest
  @CsvSource({"8, 8, 128", "64, 8, 128", "256, 16, 64", "4, 4, 8", "1000, 2, 4"})
  void rowsAndExpertsOfTheFullestRank(int tokens, int ranks, int experts) {
    SplittableRandom random = new SplittableRandom(1);
    int held = experts / ranks;
    double rows = 0;
    double hit = 0;
    for (int run = 0; run < RUNS; run++) {
      int[] rowsOf = new int[ranks];
      BitSet seen = new BitSet();
      for (int token = 0; token < tokens; token++) {
        int expert = random.nextInt(experts);
        rowsOf[expert / held]++;
        seen.set(expert);
      }
      int most = 0;
      for (int rank = 0; rank < ranks; rank++) {
        most = Math.max(most, seen.get(rank * held, (rank + 1) * held).cardinality());
      }
      rows += Arrays.stream(rowsOf).max().orElseThrow();
      hit += most;
    }
    rows /= RUNS;
    hit /= RUNS;
    double missed = Math.pow(1 - 1.0 / experts, tokens);
    assertEquals(rows, ExpectedMost.of(tokens, 1.0 / ranks, ranks), 0.07 * rows + 0.1);
    assertEquals(hit, ExpectedMost.of(held, 1 - missed, ranks), 0.07 * hit + 0.1);
  }

  @Test
  void aSingleRankHasTheMean() {
    assertEquals(12, ExpectedMost.of(48, 0.25, 1), 1e-12);
    assertEquals(48, ExpectedMost.of(48, 1, 64), 1e-12);
    assertEquals(0, ExpectedMost.of(0, 0.5, 64), 0);
  }

  @Test
  void manyTrialsNeitherOverflowNorVanish() {
    long trials = 1L << 40;
    double mean = trials / 1024.0;
    double most = ExpectedMost.of(trials, 1 / 1024.0, 1024);
    double deviation = Math.sqrt(mean);
    assertTrue(most > mean + 3 * deviation && most < mean + 3.5 * deviation, "" + most);
  }
}
