package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import panamoe.plan.ExpectedMaximum.Alike;

/** Compares expected maxima with random samples. */
class ExpectedMaximumTest {
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
    assertEquals(rows, ExpectedMaximum.of(tokens, 1.0 / ranks, ranks), 0.07 * rows + 0.1);
    assertEquals(hit, ExpectedMaximum.of(held, 1 - missed, ranks), 0.07 * hit + 0.1);
  }

  @Test
  void aSingleRankHasTheMean() {
    assertEquals(12, ExpectedMaximum.of(48, 0.25, 1), 1e-12);
    assertEquals(48, ExpectedMaximum.of(48, 1, 64), 1e-12);
    assertEquals(0, ExpectedMaximum.of(0, 0.5, 64), 0);
  }

  @Test
  void manyTrialsNeitherOverflowNorVanish() {
    long trials = 1L << 40;
    double mean = trials / 1024.0;
    double most = ExpectedMaximum.of(trials, 1 / 1024.0, 1024);
    double deviation = Math.sqrt(mean);
    assertTrue(most > mean + 3 * deviation && most < mean + 3.5 * deviation, "" + most);
  }

  /** Five ranks: one gets half of the tokens, and four share the rest. */
  @Test
  void ranksThatDiffer() {
    SplittableRandom random = new SplittableRandom(1);
    double most = 0;
    for (int run = 0; run < RUNS; run++) {
      int[] rows = new int[5];
      for (int token = 0; token < 12; token++) {
        int draw = random.nextInt(8);
        rows[draw < 4 ? 0 : draw - 3]++;
      }
      most += Arrays.stream(rows).max().orElseThrow();
    }
    most /= RUNS;
    List<Alike> ranks = List.of(new Alike(12, 0.5, 1), new Alike(12, 0.125, 4));
    assertEquals(most, ExpectedMaximum.of(ranks), 0.05 * most);
    // A rank far ahead of all others is always the maximum.
    List<Alike> ahead = List.of(new Alike(10_000, 0.5, 1), new Alike(10_000, 0.05, 10));
    assertEquals(5000, ExpectedMaximum.of(ahead), 1e-6);
    List<Alike> apart = List.of(new Alike(48, 0.25, 2), new Alike(48, 0.25, 6));
    assertEquals(ExpectedMaximum.of(48, 0.25, 8), ExpectedMaximum.of(apart), 1e-9);
  }

  /** Two tosses of a coin: 0, 1, 1 or 2. */
  @Test
  void whatExceedsALimitDoesNotCount() {
    Binomial tosses = Binomial.of(2, 0.5);
    assertEquals(1, tosses.expectedUpTo(2), 1e-12);
    assertEquals(0.75, tosses.expectedUpTo(1), 1e-12);
    assertEquals(0, tosses.expectedUpTo(0), 0);
    assertEquals(7, Binomial.of(7, 1).expectedUpTo(9), 0);
  }
}
