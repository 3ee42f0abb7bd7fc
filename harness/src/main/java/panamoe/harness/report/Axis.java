package panamoe.harness.report;

import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;

/**
 * Maps values to drawing coordinates, with ticks at round numbers.
 *
 * @param low value at {@code start}
 * @param high value at {@code end}, more than {@code low}
 * @param tick distance between ticks
 */
record Axis(double low, double high, double tick, double start, double end) {
  /** An axis that ends where the data ends, with about {@code ticks} ticks. */
  static Axis over(double min, double max, int ticks, double start, double end) {
    double high = max > min ? max : min + Math.max(Math.abs(min), 1);
    return new Axis(min, high, roundUp((high - min) / ticks), start, end);
  }

  /** An axis whose ticks are whole numbers. */
  static Axis counting(double min, double max, int ticks, double start, double end) {
    Axis axis = over(min, max, ticks, start, end);
    return new Axis(axis.low, axis.high, Math.max(1, axis.tick), start, end);
  }

  /** This axis in another part of the drawing. */
  Axis between(double newStart, double newEnd) {
    return new Axis(low, high, tick, newStart, newEnd);
  }

  /** The width of the widest label. */
  double labelWidth() {
    return ticks().stream().mapToDouble(each -> Svg.width(label(each))).max().orElse(0);
  }

  double coordinate(double value) {
    return start + (end - start) * (value - low) / (high - low);
  }

  double[] coordinates(double[] values) {
    return Arrays.stream(values).map(this::coordinate).toArray();
  }

  List<Double> ticks() {
    long first = (long) Math.ceil(low / tick - 1e-6);
    long last = (long) Math.floor(high / tick + 1e-6);
    return LongStream.rangeClosed(first, last).mapToObj(i -> i * tick).toList();
  }

  String label(double value) {
    double unit = ShortNumber.unit(high);
    unit = unit < 1 ? ShortNumber.unit(value) : unit;
    int decimals = (int) Math.clamp(-Math.floor(Math.log10(tick / unit) + 1e-9), 0, 12);
    return ShortNumber.of(value, unit, decimals);
  }

  /** The smallest of 1, 2 and 5 times a power of ten that is at least {@code step}. */
  private static double roundUp(double step) {
    double power = Math.pow(10, Math.floor(Math.log10(step)));
    double factor = step / power * (1 - 1e-9);
    return power * (factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10);
  }
}
