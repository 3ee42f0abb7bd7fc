package panamoe.harness.report;

import java.util.ArrayList;
import java.util.List;

/**
 * Maps values to drawing coordinates, with ticks at round numbers.
 *
 * @param low value at {@code start}
 * @param high value at {@code end}, more than {@code low}
 * @param tick distance between ticks
 */
record Axis(double low, double high, double tick, double start, double end) {
  /**
   * An axis from {@code min} to {@code max}, widened to round ticks, with about {@code ticks}
   * ticks.
   */
  static Axis over(double min, double max, int ticks, double start, double end) {
    double span = max > min ? max - min : Math.max(Math.abs(max), 1);
    double tick = roundUp(span / ticks);
    double low = Math.floor(min / tick) * tick;
    double high = Math.max(Math.ceil(max / tick) * tick, low + tick);
    return new Axis(low, high, tick, start, end);
  }

  /** An axis whose ticks are whole numbers. */
  static Axis counting(double min, double max, int ticks, double start, double end) {
    Axis axis = over(min, max, ticks, start, end);
    return axis.tick() >= 1
        ? axis
        : new Axis(Math.floor(min), Math.max(Math.ceil(max), Math.floor(min) + 1), 1, start, end);
  }

  /** The same axis elsewhere in a drawing. */
  Axis between(double newStart, double newEnd) {
    return new Axis(low, high, tick, newStart, newEnd);
  }

  /** Room for the widest label. */
  double labelWidth() {
    return ticks().stream().mapToDouble(tick -> Svg.width(label(tick))).max().orElseThrow();
  }

  double place(double value) {
    return start + (end - start) * (value - low) / (high - low);
  }

  double[] places(double[] values) {
    return java.util.Arrays.stream(values).map(this::place).toArray();
  }

  List<Double> ticks() {
    List<Double> ticks = new ArrayList<>();
    for (long i = Math.round(low / tick); i * tick <= high + tick / 1e6; i++) {
      ticks.add(i * tick);
    }
    return ticks;
  }

  String label(double value) {
    double unit = ShortNumber.unit(high);
    int decimals = (int) Math.clamp(-Math.floor(Math.log10(tick / unit) + 1e-9), 0, 12);
    return value == 0 && unit > 1 ? "0" : ShortNumber.of(value, unit, decimals);
  }

  /** The smallest of 1, 2 and 5 times a power of ten that is at least {@code step}. */
  private static double roundUp(double step) {
    double power = Math.pow(10, Math.floor(Math.log10(step)));
    for (double factor : new double[] {1, 2, 5}) {
      if (factor * power >= step * (1 - 1e-9)) {
        return factor * power;
      }
    }
    return 10 * power;
  }
}
