package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class FailureCostTest {
  private static final Cluster CLUSTER = Cluster.of("dgx-h100:64");

  private static String refusal(Runnable faults) {
    return assertThrows(IllegalArgumentException.class, faults::run).getMessage();
  }

  /** 64 devices of 6400 h fail every 100 h; 8 nodes write 12 x 1.6e9 bytes in 1.2 s. */
  @Test
  void rareFailuresCostWhatYoungSays() {
    FailureCost.Loss best = new FailureCost(6400).best(CLUSTER, 1_600_000_000);
    assertEquals(1.2, best.checkpoint(), 1e-12);
    double young = Math.sqrt(2 * 1.2 * 360_000);
    assertEquals(young, best.interval(), 0.01 * young);
    // A checkpoint each interval, half an interval and a restart each failure.
    double restart = 300 + 1.2;
    double lost = 1.2 / young + (young / 2 + restart) / 360_000;
    assertEquals(lost, best.share(), 0.02 * lost);
  }

  /** 8192 nodes of 2 GB/s could write 16 TB/s, and the file system takes 2: 12e12 bytes in 6 s. */
  @Test
  void allNodesShareAFileSystem() {
    FailureCost.Loss best =
        new FailureCost(50_000).best(Cluster.of("dgx-h100:65536"), 1_000_000_000_000L);
    assertEquals(6, best.checkpoint(), 1e-12);
  }

  /** What Daly's figures 3 to 5 show: checkpoints of 5 minutes, 12 x 5e10 bytes of one node. */
  @ParameterizedTest
  @CsvSource({"24, 117", "6, 57", "0.25, 9.1"})
  void intervalsAreThoseThatDalyPublished(double meanHours, double minutes) {
    FailureCost.Loss best =
        new FailureCost(8 * meanHours).best(Cluster.of("dgx-h100:8"), 50_000_000_000L);
    assertEquals(300, best.checkpoint(), 1e-9);
    assertEquals(minutes, best.interval() / 60, 0.01 * minutes);
  }

  /** Compares with the minimum of Daly's expected time over many intervals. */
  @ParameterizedTest
  @ValueSource(longs = {1_000_000_000L, 50_000_000_000L, 1_000_000_000_000L})
  void noOtherIntervalIsMuchBetter(long parameters) {
    FailureCost faults = new FailureCost(640);
    FailureCost.Loss best = faults.best(CLUSTER, parameters);
    double least = Double.MAX_VALUE;
    for (double interval = 10; interval < 2e5; interval *= 1.02) {
      least = Math.min(least, faults.at(interval, CLUSTER, parameters).share());
    }
    assertTrue(best.share() <= 1.001 * least, best.share() + " is above " + least);
    assertTrue(best.share() < faults.at(2 * best.interval(), CLUSTER, parameters).share());
    assertTrue(best.share() < faults.at(best.interval() / 2, CLUSTER, parameters).share());
  }

  @Test
  void refusesWhatNeverEnds() {
    assertEquals(
        "a device of dgx-h100:64 fails every 56.3 s, but a checkpoint takes 750 s: the run"
            + " makes no progress",
        refusal(() -> new FailureCost(1).best(CLUSTER, 1_000_000_000_000L)));
    String often = refusal(() -> new FailureCost(0.01).at(3600, CLUSTER, 1000));
    assertTrue(often.endsWith("more than 1000 times as long"), often);
    for (double hours : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
      assertTrue(refusal(() -> new FailureCost(hours)).contains(" h, expected more than 0"));
    }
  }
}
