package panamoe.lab.conformance.replay;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class AxesTest {
  @Test
  void rowsInTurnBecomeHalves() {
    // One expert's rows g0 u0 g1 u1 of width 2 to g0 g1 u0 u1.
    Axes halves = Axes.of(1, 2, 2, 2).as(0, 2, 1, 3);
    float[] inTurn = {1, 2, 5, 6, 3, 4, 7, 8};
    float[] ordered = halves.ordered(inTurn);
    assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6, 7, 8}, ordered);
    assertArrayEquals(inTurn, halves.restored(ordered));
  }

  @Test
  void restoredIsTheInverseOfThreeAxes() {
    Axes axes = Axes.of(2, 3, 4).as(2, 0, 1);
    float[] values = new float[24];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    float[] ordered = axes.ordered(values);
    assertEquals(4, ordered[1], "element [0, 0, 1] was [0, 1, 0]");
    assertArrayEquals(values, axes.restored(ordered));
  }

  @Test
  void anotherCountIsRefused() {
    Axes axes = Axes.of(2, 3).as(1, 0);
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> axes.ordered(new float[5]));
    assertEquals("5 numbers, expected the shape [2, 3]", refusal.getMessage());
  }
}
