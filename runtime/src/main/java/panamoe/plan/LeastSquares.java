package panamoe.plan;

import java.util.function.UnaryOperator;
import panamoe.io.Require;

/** Nonlinear least squares for a few parameters, by Gauss–Newton. */
final class LeastSquares {
  private static final int STEPS = 50;
  private static final double DIFFERENCE = 1e-6;
  private static final double SETTLED = 1e-10;

  private LeastSquares() {}

  /**
   * Minimises the sum of squared residuals.
   *
   * @param residuals function of the parameters; at least as many residuals as parameters
   * @param start initial parameters near the solution, none of them 0
   * @throws IllegalArgumentException if the residuals do not determine the parameters
   */
  static double[] fit(UnaryOperator<double[]> residuals, double[] start) {
    double[] at = start.clone();
    for (int step = 0; step < STEPS; step++) {
      double[] here = residuals.apply(at);
      double[][] slopes = new double[at.length][];
      for (int i = 0; i < at.length; i++) {
        double[] beside = at.clone();
        beside[i] *= 1 + DIFFERENCE;
        slopes[i] = residuals.apply(beside);
        for (int row = 0; row < here.length; row++) {
          slopes[i][row] = (slopes[i][row] - here[row]) / DIFFERENCE;
        }
      }
      // Slopes by relative changes, so that the parameters' units do not matter.
      double[] change = solve(normal(slopes, here));
      double largest = 0;
      for (int i = 0; i < at.length; i++) {
        at[i] *= 1 + change[i];
        largest = Math.max(largest, Math.abs(change[i]));
      }
      if (largest < SETTLED) {
        break;
      }
    }
    return at;
  }

  /** The normal equations, with the right-hand side in the last column. */
  private static double[][] normal(double[][] slopes, double[] residuals) {
    int n = slopes.length;
    double[][] equations = new double[n][n + 1];
    for (int i = 0; i < n; i++) {
      for (int row = 0; row < residuals.length; row++) {
        for (int j = 0; j < n; j++) {
          equations[i][j] += slopes[i][row] * slopes[j][row];
        }
        equations[i][n] -= slopes[i][row] * residuals[row];
      }
    }
    return equations;
  }

  /** Gaussian elimination with partial pivoting. */
  private static double[] solve(double[][] equations) {
    int n = equations.length;
    for (int column = 0; column < n; column++) {
      int pivot = column;
      for (int row = column + 1; row < n; row++) {
        if (Math.abs(equations[row][column]) > Math.abs(equations[pivot][column])) {
          pivot = row;
        }
      }
      double[] swapped = equations[pivot];
      equations[pivot] = equations[column];
      equations[column] = swapped;
      Require.that(Math.abs(swapped[column]) > 0, "the points do not determine the constants");
      for (int row = 0; row < n; row++) {
        double factor = row == column ? 0 : equations[row][column] / swapped[column];
        for (int k = column; k <= n; k++) {
          equations[row][k] -= factor * swapped[k];
        }
      }
    }
    double[] solution = new double[n];
    for (int i = 0; i < n; i++) {
      solution[i] = equations[i][n] / equations[i][i];
    }
    return solution;
  }
}
