package panamoe.plan;

import panamoe.io.Require;
import panamoe.io.Words;

/** The unit of a constant, and the range of plausible values. */
enum Quantity {
  SECONDS("s", 0, 3600),
  BYTES("bytes", 1, 1e18),
  BYTES_PER_SECOND("bytes/s", 1e3, 1e18),
  FLOPS("FLOP/s", 1e3, 1e21),
  /** Caches can make the reached share of memory bandwidth exceed 1. */
  SHARE("of ...", 0, 2),
  WHOLE_SHARE("of ...", 0, 1);

  private final String unit;
  private final double least;
  private final double most;

  Quantity(String unit, double least, double most) {
    this.unit = unit;
    this.least = least;
    this.most = most;
  }

  /**
   * @param name of the constant
   * @throws IllegalArgumentException if it is null, has another unit, or is out of range
   */
  void require(String name, Constant constant) {
    Require.that(constant != null, "%s is missing", name);
    Require.that(
        has(constant.unit()),
        "%s is in '%s', expected %s",
        name,
        constant.unit(),
        isShare() ? "a share such as 'of the peak'" : "'" + unit + "'");
    if (constant.value() < least || constant.value() > most) {
      throw Require.refusal(
          "%s is %.4g %s, expected %s %.4g",
          name,
          constant.value(),
          constant.unit(),
          least == 0 ? "at most" : Words.of("%.4g to", least),
          most);
    }
  }

  private boolean has(String other) {
    return isShare() ? other.startsWith("of ") : other.equals(unit);
  }

  private boolean isShare() {
    return this == SHARE || this == WHOLE_SHARE;
  }
}
