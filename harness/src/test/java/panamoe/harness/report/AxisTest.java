package panamoe.harness.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class AxisTest {
  @Test
  void ticksAreRoundAndHoldTheRange() {
    Axis axis = Axis.over(0, 7.3, 5, 0, 80);
    assertEquals(List.of(0.0, 2.0, 4.0, 6.0, 8.0), axis.ticks());
    assertEquals(73, axis.place(7.3), 1e-9);
    assertEquals("6", axis.label(6));
  }

  @Test
  void labelsShowTheDecimalsOfATick() {
    assertEquals("0.0015", Axis.over(0, 0.002, 5, 0, 1).label(0.0015));
    assertEquals("12,000", Axis.over(0, 15_000, 5, 0, 1).label(12_000));
    assertEquals("1.5 M", Axis.over(0, 2_100_000, 5, 0, 1).label(1_500_000));
    assertEquals("0", Axis.over(0, 2_100_000, 5, 0, 1).label(0));
  }

  @Test
  void aRangeOfNothingIsStillAnAxis() {
    Axis axis = Axis.over(0, 0, 5, 0, 100);
    assertEquals(0, axis.place(0), 1e-9);
    assertEquals(100, axis.place(axis.high()), 1e-9);
  }
}
