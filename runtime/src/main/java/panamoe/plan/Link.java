package panamoe.plan;

import java.util.List;

/**
 * What a message takes: {@code base} for a collective, {@code perPeer} for each peer, and its bytes
 * by {@code bandwidth}.
 *
 * @param base s
 * @param perPeer s
 * @param bandwidth bytes/s of a device, in one direction
 */
public record Link(Constant base, Constant perPeer, Constant bandwidth) {
  private static final double LEAST = 1e-12; // noise may make a small part negative

  public Link {
    Quantity.SECONDS.require("base", base);
    Quantity.SECONDS.require("perPeer", perPeer);
    Quantity.BYTES_PER_SECOND.require("bandwidth", bandwidth);
  }

  /**
   * A measured collective.
   *
   * @param peers that each member sent to
   * @param bytes that each member sent to them together
   */
  public record Timed(int peers, double bytes, double seconds) {}

  /**
   * The link whose relative errors of {@code timed} have the least squares.
   *
   * @param timed at least three, of different numbers of peers and of bytes
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

  /** Seconds of messages to {@code peers}, {@code bytes} together. */
  double seconds(double peers, double bytes) {
    return base.value() + peers * perPeer.value() + bytes / bandwidth.value();
  }
}
