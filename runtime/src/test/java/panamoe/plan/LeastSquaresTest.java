package panamoe.plan;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class LeastSquaresTest {
  @Test
  void findsAMinimumThatIsNoZero() {
    // a + b x through (0, 1), (1, 3), (2, 4): a = 7/6, b = 3/2.
    double[] fitted =
        LeastSquares.fit(
            at -> new double[] {at[0] - 1, at[0] + at[1] - 3, at[0] + 2 * at[1] - 4},
            new double[] {1, 1});
    assertArrayEquals(new double[] {7.0 / 6, 1.5}, fitted, 1e-6);
  }

  @Test
  void findsSharesInDenominators() {
    double[] fitted =
        LeastSquares.fit(
            at -> new double[] {at[0] + 3 / at[1] - 5, at[0] + 6 / at[1] - 9},
            new double[] {0.5, 0.5});
    assertArrayEquals(new double[] {1, 0.75}, fitted, 1e-9);
  }

  @Test
  void refusesPointsThatAreAlike() {
    assertThrows(
        IllegalArgumentException.class,
        () ->
            LeastSquares.fit(
                at -> new double[] {at[0] + at[1] - 3, at[0] + at[1] - 3}, new double[] {1, 1}));
  }
}
