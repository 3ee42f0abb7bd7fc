package panamoe.parallel;

import panamoe.io.Require;

/**
 * How a rank overlaps the exchange of rows with computing.
 *
 * @param concurrent whether a second thread moves rows while the rank computes the residual branch
 *     or experts; otherwise the rank waits
 * @param parts the number of parts that rows are sent in, so that experts compute one part while
 *     the next is in transit. An expert's weight gradient is summed by part, so the number changes
 *     its rounding, but no other bit
 */
public record Overlap(boolean concurrent, int parts) {
  /** No overlap: one part, and the rank waits. */
  public static final Overlap NONE = new Overlap(false, 1);

  public Overlap {
    Require.that(parts >= 1, "rows are sent in %s parts, expected 1 or more", parts);
  }
}
