package panamoe.plan;

/**
 * The binomial distribution, as a table of probabilities around its mode.
 *
 * @param from number of successes of the first entry
 * @param weights probabilities of {@code from}, {@code from + 1}, ...; they sum to 1
 */
record Binomial(long from, double[] weights) {
  /** Standard deviations from the mean beyond which the table ends. */
  private static final double FAR = 10;

  static Binomial of(long trials, double p) {
    if (trials == 0 || p <= 0) {
      return new Binomial(0, new double[] {1});
    }
    if (p >= 1) {
      return new Binomial(trials, new double[] {1});
    }
    long reach = (long) (FAR * Math.sqrt(trials * p * (1 - p)) + 2 * FAR);
    long mode = Math.min(trials, (long) ((trials + 1) * p));
    int below = (int) Math.min(mode, reach);
    int above = (int) Math.min(trials - mode, reach);
    // Relative to the mode's probability: neither overflows nor underflows.
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
    for (int i = 0; i < weight.length; i++) {
      weight[i] /= sum;
    }
    return new Binomial(mode - below, weight);
  }

  /** Number of successes of the last entry. */
  long until() {
    return from + weights.length - 1;
  }

  /** P(X ≤ {@code from}), P(X ≤ {@code from + 1}), ... */
  double[] cumulative() {
    double[] cumulative = weights.clone();
    for (int i = 1; i < cumulative.length; i++) {
      cumulative[i] = Math.min(1, cumulative[i - 1] + weights[i]);
    }
    return cumulative;
  }

  /** E[min(X, {@code limit})]. */
  double expectedUpTo(long limit) {
    double expected = 0;
    for (int i = 0; i < weights.length; i++) {
      expected += weights[i] * Math.min(from + i, limit);
    }
    return expected;
  }
}
