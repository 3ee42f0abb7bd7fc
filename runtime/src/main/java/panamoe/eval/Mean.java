package panamoe.eval;

/**
 * A mean over tasks.
 *
 * @param error its standard error: the deviation of one task over the root of their number; NaN of
 *     a single one
 */
public record Mean(double value, double error) {
  /**
   * @param sum of the values of {@code count} tasks
   * @param squares sum of their squares
   */
  static Mean of(double sum, double squares, long count) {
    double mean = sum / count;
    double variance = Math.max(0, squares - sum * mean) / (count - 1);
    return new Mean(mean, count < 2 ? Double.NaN : Math.sqrt(variance / count));
  }
}
