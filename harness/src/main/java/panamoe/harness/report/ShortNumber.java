package panamoe.harness.report;

import panamoe.io.Words;

/** Numbers in few digits: 16.8M for 16,777,216, 3.4e-4 for 0.00034. */
final class ShortNumber {
  private ShortNumber() {}

  /** Three digits, or all digits of a whole number below 10,000. */
  static String of(double value) {
    double unit = unit(value);
    boolean whole = unit == 1 && value == Math.rint(value);
    double scaled = Math.abs(value / unit);
    return of(value, unit, whole || scaled >= 100 ? 0 : scaled >= 10 ? 1 : unit == 1 ? 2 : 1);
  }

  /** The power of ten that numbers of this size are written in: 1 from 0.01 to 10,000. */
  static double unit(double value) {
    double size = Math.abs(value);
    if (size > 0 && size < 0.01) {
      return Math.pow(10, Math.floor(Math.log10(size)));
    }
    return size < 1e4 ? 1 : Math.min(1e12, Math.pow(1e3, Math.floor(Math.log10(size) / 3)));
  }

  /**
   * @param unit a value of {@link #unit}
   */
  static String of(double value, double unit, int decimals) {
    String suffix =
        unit < 1
            ? Words.of("e%.0f", Math.log10(unit))
            : "kMBT".substring(0, (int) Math.round(Math.log10(unit) / 3)).replaceAll(".(?=.)", "");
    return value == 0 ? "0" : Words.of("%,." + decimals + "f%s", value / unit, suffix);
  }
}
