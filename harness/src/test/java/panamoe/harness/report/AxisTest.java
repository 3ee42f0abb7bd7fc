package panamoe.harness.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class AxisTest {
  @Test
  void theAxisEndsAtTheDataAndTicksAreRound() {
    Axis axis = Axis.over(0, 7.3, 5, 0, 80);
    assertEquals(List.of(0.0, 2.0, 4.0, 6.0), axis.ticks());
    assertEquals(80, axis.coordinate(7.3), 1e-9);
    assertEquals("6", axis.label(6));
    assertEquals(List.of(0.0, 50.0, 100.0, 150.0), Axis.counting(0, 190, 5, 0, 1).ticks());
    assertEquals(List.of(0.0, 1.0, 2.0), Axis.counting(0, 2, 5, 0, 1).ticks());
  }

  @Test
  void labelsShowTheDecimalsOfATick() {
    assertEquals("1.5e-3", Axis.over(0, 0.002, 5, 0, 1).label(0.0015));
    assertEquals("12k", Axis.over(0, 15_000, 5, 0, 1).label(12_000));
    assertEquals("1.5M", Axis.over(0, 2_100_000, 5, 0, 1).label(1_500_000));
    assertEquals("0", Axis.over(0, 2_100_000, 5, 0, 1).label(0));
  }

  @Test
  void aRangeOfNothingIsStillAnAxis() {
    Axis axis = Axis.over(0, 0, 5, 0, 100);
    assertEquals(0, axis.coordinate(0), 1e-9);
    assertEquals(100, axis.coordinate(axis.high()), 1e-9);
  }
}
