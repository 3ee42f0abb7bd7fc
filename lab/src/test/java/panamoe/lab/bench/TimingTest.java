package panamoe.lab.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import panamoe.harness.probe.Ceilings;
import panamoe.harness.probe.Roofline;
import panamoe.lab.bench.Timing.Burst;

@Tag("slow")
class TimingTest {
  @Test
  void theMedianIsOverAllCalls() {
    Timing timing = new Timing(List.of(burst(10, 5, 1), burst(10, 2, 3, 9)));
    assertEquals(3, timing.medianMs());
    assertEquals(1, timing.minMs());
  }

  @Test
  void aBurstIsHeldAgainstTheCeilingsOfItsMoment() {
    // Memory at full, half and full speed again. Calls slow down accordingly; the last one is slow
    // by itself.
    Timing timing =
        new Timing(
            List.of(
                burst(80, 10, 10, 12), burst(40, 20, 20), burst(80, 11, 10, 10), burst(80, 40)));
    ToDoubleFunction<Ceilings> limitMs = ceilings -> 640 / ceilings.readGbytesPerS();
    assertEquals(0.8, timing.rooflineFraction(limitMs), 1e-9);
    assertEquals(8, timing.limitMs(limitMs), 1e-9);
  }

  @Test
  void contendersTakeTurnsUntilEachHasWorkedLongEnough() throws IOException {
    StringBuilder order = new StringBuilder();
    List<Contender> contenders = List.of(takes(900, "a", order), takes(500, "b", order));
    try (Roofline none = new Roofline("reference", 0, false)) {
      List<Timing> timings = Timing.inTurns(2, false, contenders, none);
      assertEquals(2, timings.size());
      assertNull(timings.getFirst().bursts().getFirst().ceilings());
      assertEquals("ab" + "ab".repeat(4), order.toString());

      order.setLength(0);
      Timing.inTurns(0.1, false, contenders, none);
      assertEquals("ab" + "ab".repeat(3), order.toString());
    }
  }

  /** Contenders whose bursts take far longer than the reported time, and would run for hours. */
  @Test
  @Timeout(600)
  void contendersEndWhenAllTakesThreeTimesAsLong() throws IOException {
    try (Roofline none = new Roofline("reference", 0, false)) {
      Contender idle = takes(1e-3, "", new StringBuilder());
      Contender slow =
          new Contender() {
            @Override
            public double[] burst(double seconds) throws IOException {
              LockSupport.parkNanos(10_000_000);
              return idle.burst(seconds);
            }

            @Override
            public long process() {
              return idle.process();
            }
          };
      assertTrue(Timing.inTurns(0.1, false, List.of(slow), none).getFirst().bursts().size() >= 3);
    }
  }

  @Test
  void aProcessorsCeilingsAreMeasuredWheneverAskedFor() throws IOException {
    try (Roofline yardstick = new Roofline("cpu", 1, false)) {
      for (int i = 0; i < 3; i++) {
        Ceilings before = yardstick.highest();
        Ceilings now = yardstick.now();
        assertEquals(1, now.threads());
        assertTrue(
            now.readGbytesPerS() > 0
                && now.readGbytesPerS() <= yardstick.highest().readGbytesPerS());
        assertTrue(
            now.fmaF32Gflops() >= before.fmaF32Gflops()
                && now.dotBf16Gflops() >= before.dotBf16Gflops());
      }
    }
  }

  private static Burst burst(double readGbytesPerS, double... ms) {
    return new Burst(ms, new Ceilings(100, 200, 800.0, readGbytesPerS, 2, null));
  }

  private static Contender takes(double ms, String name, StringBuilder order) {
    return new Contender() {
      @Override
      public double[] burst(double seconds) {
        order.append(name);
        return new double[] {ms};
      }

      @Override
      public long process() {
        return ProcessHandle.current().pid();
      }
    };
  }
}
