package panamoe.parallel;

/**
 * What a rank does while its rows are on their way to the experts and back.
 *
 * @param beside whether a thread of its own moves them, while the rank computes the residual branch
 *     or experts; otherwise the rank waits
 * @param parts how many parts rows travel in, so that experts compute one while the next is under
 *     way. An expert's weight gradient is summed part by part: their number changes its rounding,
 *     and no other bit
 */
public record Overlap(boolean beside, int parts) {
  /** All rows at once, and the rank waits. */
  public static final Overlap NONE = new Overlap(false, 1);

  public Overlap {
    if (parts < 1) {
      throw new IllegalArgumentException("rows travel in " + parts + " parts, expected 1 or more");
    }
  }
}
