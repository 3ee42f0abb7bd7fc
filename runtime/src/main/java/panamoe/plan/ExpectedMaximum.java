package panamoe.plan;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The expected load of the most loaded rank, if tokens choose experts independently. */
final class ExpectedMaximum {
  /**
   * Ranks with equal distributions.
   *
   * @param p probability of a success in one trial
   */
  record Alike(long trials, double p, long ranks) {}

  private ExpectedMaximum() {}

  /**
   * The expected maximum of {@code ranks} independent binomial variables. Ranks that share trials
   * are slightly dependent, so the true maximum of their rows is slightly less.
   */
  static double of(long trials, double p, long ranks) {
    return of(List.of(new Alike(trials, p, ranks)));
  }

  /** The expected maximum over ranks with several distributions. */
  static double of(List<Alike> all) {
    if (all.size() == 1 && all.getFirst().ranks == 1) {
      return all.getFirst().trials * Math.clamp(all.getFirst().p, 0, 1);
    }
    List<Binomial> tables = new ArrayList<>();
    long from = 0;
    long until = 0;
    for (Alike alike : all) {
      Binomial table = Binomial.of(alike.trials, alike.p);
      tables.add(table);
      from = Math.max(from, table.from());
      until = Math.max(until, table.until());
    }
    // The maximum is at least `from`; it exceeds x unless every rank has at most x.
    double[] atMost = new double[(int) (until - from)];
    Arrays.fill(atMost, 1);
    for (int i = 0; i < all.size(); i++) {
      Binomial table = tables.get(i);
      double[] cumulative = table.cumulative();
      for (long x = from; x < Math.min(until, table.until()); x++) {
        atMost[(int) (x - from)] *=
            Math.pow(cumulative[(int) (x - table.from())], all.get(i).ranks);
      }
    }
    double expected = until;
    for (double each : atMost) {
      expected -= each;
    }
    return expected;
  }
}
