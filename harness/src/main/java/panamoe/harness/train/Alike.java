package panamoe.harness.train;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.concurrent.Callable;
import java.util.zip.CRC32C;
import panamoe.parallel.Ranks;

/** What ranks must have in common before they train together. */
final class Alike {
  private Alike() {}

  /**
   * Refuses ranks of which one has another property than rank 0. All of them ask for the same, in
   * the same order.
   *
   * @param mine what this rank has, as its text tells; a rank that is alone is not asked
   * @param differs says what such a rank does, as in "has another text than rank 0"
   * @throws IllegalArgumentException on every rank, with the first such rank and {@code differs}
   * @throws Exception what {@code mine} throws
   */
  static void require(Ranks ranks, Callable<?> mine, String differs) throws Exception {
    if (ranks.world().size() == 1) {
      return;
    }
    CRC32C digest = new CRC32C();
    digest.update(String.valueOf(mine.call()).getBytes(UTF_8));
    long[] all = ranks.world().allGather(digest.getValue());
    for (int rank = 1; rank < all.length; rank++) {
      if (all[rank] != all[0]) {
        throw new IllegalArgumentException("rank " + rank + " " + differs);
      }
    }
  }
}
