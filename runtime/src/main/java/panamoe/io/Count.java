package panamoe.io;

/** Formats counts in words. */
public final class Count {
  private static final String[] UNITS = {"KiB", "MiB", "GiB"};
  private static final double UNIT = 1024;

  private Count() {}

  /** {@code 1 token} or {@code 2,048 tokens}; the plural adds an s. */
  public static String of(long number, String thing) {
    return Words.of("%,d %s%s", number, thing, number == 1 ? "" : "s");
  }

  /** Bytes in the largest unit that they fill, at least KiB: {@code 1.5 GiB}, {@code 0.3 KiB}. */
  public static String bytes(double bytes) {
    double units = bytes / UNIT;
    int unit = 0;
    while (units >= UNIT && unit < UNITS.length - 1) {
      units /= UNIT;
      unit++;
    }
    return Words.of("%,.1f %s", units, UNITS[unit]);
  }
}
