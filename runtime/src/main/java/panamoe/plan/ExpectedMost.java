package panamoe.plan;

/** The rank that gets most, where tokens choose experts evenly and independently. */
final class ExpectedMost {
  /** Deviations from the mean beyond which a binomial is taken for 0. */
  private static final double FAR = 10;

  private ExpectedMost() {}

  /**
   * The expected maximum of {@code ranks} independent numbers, each the successes of {@code trials}
   * of probability {@code p}. Ranks that share trials depend on one another a little, so that the
   * true maximum of their rows is slightly less.
   */
  static double of(long trials, double p, long ranks) {
    if (trials == 0 || p <= 0) {
      return 0;
    }
    if (p >= 1 || ranks == 1) {
      return trials * Math.min(p, 1);
    }
    double mean = trials * p;
    long reach = (long) (FAR * Math.sqrt(mean * (1 - p)) + 2 * FAR);
    long mode = Math.min(trials, (long) ((trials + 1) * p));
    int below = (int) Math.min(mode, reach);
    int above = (int) Math.min(trials - mode, reach);
    // Probabilities in multiples of the mode's, which neither overflow nor vanish.
    double[] weight = new double[below + above + 1];
    weight[below] = 1;
    double odds = p / (1 - p);
    for (int i = below - 1; i >= 0; i--) {
      long successes = mode - below + i;
      weight[i] = weight[i + 1] * (successes + 1) / (trials - successes) / odds;
    }
    for (int i = below + 1; i < weight.length; i++) {
      long successes = mode - below + i;
      weight[i] = weight[i - 1] * (trials - successes + 1) / successes * odds;
    }
    double sum = 0;
    for (double each : weight) {
      sum += each;
    }
    double expected = mode + above;
    double atMost = 0;
    for (int i = 0; i < weight.length - 1; i++) {
      atMost += weight[i] / sum;
      expected -= Math.pow(Math.min(atMost, 1), ranks);
    }
    return expected;
  }
}
