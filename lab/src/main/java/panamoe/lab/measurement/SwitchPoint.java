package panamoe.lab.measurement;

import panamoe.io.Words;

/** The size at which the ratio of two times falls below 1, interpolated on logarithmic scales. */
final class SwitchPoint {
  private double lastBytes;
  private double lastRatio;
  private double bytes; // 0 if the ratio does not fall below 1

  /** Adds a larger size. */
  void add(double nextBytes, double ratio) {
    if (bytes == 0 && lastRatio > 1 && ratio <= 1) {
      double part = Math.log(lastRatio) / (Math.log(lastRatio) - Math.log(ratio));
      bytes = lastBytes * Math.pow(nextBytes / lastBytes, part);
    }
    lastBytes = nextBytes;
    lastRatio = ratio;
  }

  @Override
  public String toString() {
    return bytes == 0 ? "no size here" : Words.of("%.0f bytes", bytes);
  }
}
