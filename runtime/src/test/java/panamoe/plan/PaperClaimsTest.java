package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import panamoe.plan.PaperClaims.Dense;
import panamoe.plan.PaperClaims.Speedup;
import panamoe.plan.PaperClaims.Throughput;

class PaperClaimsTest {
  private static final PaperClaims CLAIMS = Paper.fitted().claims();

  @Test
  void throughputGrowsFasterThanGpus() {
    List<Throughput> scaling = CLAIMS.scaling();
    for (int i = 0; i < scaling.size(); i++) {
      Throughput each = scaling.get(i);
      assertEquals(8 << i, each.gpus());
      assertEquals(each.published(), each.predicted(), 0.05 * each.published());
      assertTrue(i == 0 || each.predicted() > 1.1 * scaling.get(i - 1).predicted());
    }
  }

  /** From 400 to 200 to 100 to 50 ms: each stage explains a sixth of a published speedup of 64. */
  @Test
  void aShareIsThatOfAProduct() {
    PaperPoint point = new PaperPoint("1.3B+MoE-128", 8, 1, 50, "");
    List<Paper.Without> stages =
        Stream.of(0.4, 0.2, 0.1, 0.05).map(seconds -> new Paper.Without("", seconds)).toList();
    Speedup speedup = new Speedup(point, 3.2, stages);
    assertEquals(64, speedup.publishedTimes(), 1e-9);
    assertEquals(8, speedup.times(), 1e-9);
    assertEquals(0.5, speedup.share(speedup.times()), 1e-9);
    assertEquals(1.0 / 6, speedup.share(speedup.times(1)), 1e-9);
  }

  @Test
  void optimizationsAreFactorsOfTheSpeedup() {
    assertEquals(9, CLAIMS.speedups().size());
    for (Speedup each : CLAIMS.speedups()) {
      double product = 1;
      double shares = 0;
      for (int stage = 1; stage < each.stages().size(); stage++) {
        product *= each.times(stage);
        shares += each.share(each.times(stage));
      }
      assertEquals(each.times(), product, 1e-9 * product);
      assertEquals(each.share(each.times()), shares, 1e-9);
    }
    Speedup fitted = CLAIMS.speedups().getFirst();
    assertEquals(fitted.published(), fitted.stages().getFirst().seconds(), 1e-9);
    // Predicted, with more GPUs than the fitted point has.
    for (Speedup each : CLAIMS.speedups().subList(1, 5)) {
      assertEquals(each.published(), each.stages().getFirst().seconds(), 0.1 * each.published());
    }
  }

  /** 47B+MoE-128: 29 layers of 128 experts, width 8192, each with 4 places for each of 128 GPUs. */
  @Test
  void placesWithoutATokenAreMovedAndComputed() {
    Speedup largest = CLAIMS.speedups().getLast();
    double padding = largest.stages().get(0).seconds() - largest.stages().get(1).seconds();
    double rate = 1.555e12 * Paper.fitted().efficiency().bandwidth().value();
    double places = 128 * 4;
    double bytes = places * 8192 * 2;
    double masks = 2 * 2 * bytes / rate;
    double moved = 2 * (bytes - 8 * 8192 * 2) * 120 / 128 / 22e9; // 120 of 128 gpus are far
    double matrices = 8.0 * 8192 * 8192;
    double experts = 2 * places * matrices / (312e12 * 0.5) - 2 * matrices / rate;
    assertEquals(29 * (masks + moved + experts), padding, 0.001 * padding);
  }

  @Test
  void expertsAreCheaperThanADenseModelOfTheirQuality() {
    List<Dense> dense = CLAIMS.dense();
    assertEquals(2.4, dense.get(0).predictedFaster(), 0.3);
    assertTrue(dense.get(1).predictedFaster() > 1.9);
    // Six times as fast, with 16 instead of 8 GPUs per tensor group.
    PaperPoint moe = new PaperPoint("47B+MoE-128", 256, 8, 1, "");
    assertEquals(12, new Dense("175B", 16, moe, 1, 1, 0.3, 0.05).predictedCheaper(), 1e-9);
  }
}
