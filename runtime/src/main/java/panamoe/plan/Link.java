package panamoe.plan;

/**
 * What a message takes: {@code base} for a collective, {@code perPeer} for each peer, and its bytes
 * by {@code bandwidth}.
 *
 * @param base s
 * @param perPeer s
 * @param bandwidth bytes/s of a card, in one direction
 */
public record Link(Constant base, Constant perPeer, Constant bandwidth) {
  public Link {
    if (base == null || perPeer == null || bandwidth == null) {
      throw new IllegalArgumentException("a link needs base, perPeer and bandwidth");
    }
  }

  /** Seconds of messages to {@code peers}, {@code bytes} together. */
  double seconds(double peers, double bytes) {
    return base.value() + peers * perPeer.value() + bytes / bandwidth.value();
  }
}
