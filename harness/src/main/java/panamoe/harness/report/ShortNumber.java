package panamoe.harness.report;

import panamoe.io.Words;

/** Large numbers in few digits: 16.8 M for 16,777,216. */
final class ShortNumber {
  private static final double MILLION = 1e6;
  private static final double BILLION = 1e9;

  private ShortNumber() {}

  static String of(long count) {
    double unit = unit(count);
    return of(count, unit, unit > 1 ? 1 : 0);
  }

  /** What a number is told in: 1, a million or a billion. */
  static double unit(double value) {
    return value < MILLION ? 1 : value < BILLION ? MILLION : BILLION;
  }

  static String of(double value, double unit, int decimals) {
    String number = Words.of("%,." + decimals + "f", value / unit);
    return unit == 1 ? number : number + (unit == MILLION ? " M" : " B");
  }
}
