package panamoe.plan;

import java.util.List;

/**
 * A linear (α–β) model of message time: {@code base + peers * perPeer + bytes / bandwidth}.
 *
 * @param base seconds per collective
 * @param perPeer seconds per peer
 * @param bandwidth bytes/s of a device, in one direction
 */
public record Link(Constant base, Constant perPeer, Constant bandwidth) {
  private static final double LEAST = 1e-12; // noise can make a fitted value negative

  public Link {
    Quantity.SECONDS.require("base", base);
    Quantity.SECONDS.require("perPeer", perPeer);
    Quantity.BYTES_PER_SECOND.require("bandwidth", bandwidth);
  }

  /**
   * A measured collective.
   *
   * @param peers destinations of each member
   * @param bytes sent by each member to all peers together
   */
  public record Timed(int peers, double bytes, double seconds) {}

  /**
   * Fits a link to {@code timed} by least squares of the relative errors.
   *
   * @param timed at least three, with different numbers of peers and bytes
   * @param source of the constants
   */
  public static Link fitted(List<Timed> timed, String source) {
    double shortest = timed.stream().mapToDouble(Timed::seconds).min().orElseThrow();
    double most = timed.stream().mapToDouble(Timed::bytes).max().orElseThrow();
    double longest = timed.stream().mapToDouble(Timed::seconds).max().orElseThrow();
    double[] fit =
        LeastSquares.fit(
            at ->
                timed.stream()
                    .mapToDouble(
                        one -> (at[0] + one.peers * at[1] + one.bytes * at[2]) / one.seconds - 1)
                    .toArray(),
            new double[] {shortest / 2, shortest / 4, longest / most});
    return new Link(
        measured(fit[0], "s", source),
        measured(fit[1], "s", source),
        measured(1 / Math.max(LEAST, fit[2]), "bytes/s", source));
  }

  private static Constant measured(double value, String unit, String source) {
    return new Constant(Math.max(LEAST, value), unit, Constant.Kind.MEASURED, source);
  }

  /** Seconds to send {@code bytes} in all to {@code peers}. */
  double seconds(double peers, double bytes) {
    return base.value() + peers * perPeer.value() + bytes / bandwidth.value();
  }
}
