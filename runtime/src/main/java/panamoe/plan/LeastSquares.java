package panamoe.plan;

import java.util.function.UnaryOperator;
import panamoe.io.Require;

/** Gauss–Newton's method for a handful of parameters. */
final class LeastSquares {
  private static final int STEPS = 50;
  private static final double DIFFERENCE = 1e-6;
  private static final double SETTLED = 1e-10;

  private LeastSquares() {}

  /**
   * The parameters that make the sum of the squared residuals least.
   *
   * @param residuals of parameters, at least as many as those
   * @param start near them, and none of them 0
   * @throws IllegalArgumentException if the residuals do not tell the parameters apart
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
      // In relative changes of the parameters, so that their units do not matter.
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

  /** Gauss's elimination with the largest pivot. */
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
      Require.that(Math.abs(swapped[column]) > 0, "the points do not tell the constants apart");
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
