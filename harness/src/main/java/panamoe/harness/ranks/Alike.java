package panamoe.harness.ranks;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.concurrent.Callable;
import java.util.zip.CRC32C;
import panamoe.open.ModelFolder;
import panamoe.parallel.Ranks;

/** Checks that all ranks have equal settings before they compute together. */
public final class Alike {
  private Alike() {}

  /**
   * Throws if a rank has another native library or model than rank 0. Collective.
   *
   * @throws IllegalArgumentException on every rank
   * @throws Exception if the model cannot be read
   */
  public static void requireModel(Ranks ranks, ModelFolder folder) throws Exception {
    require(ranks, Build::ofLibrary, "has another native library than rank 0");
    require(ranks, folder.weights()::sha256, "has another model than rank 0");
  }

  /**
   * Throws if a property of one rank differs from rank 0's. Collective.
   *
   * @param mine computes this rank's property, compared by its string; not called in a world of one
   *     rank
   * @param differs predicate for the message, such as "has another text than rank 0"
   * @throws IllegalArgumentException on every rank, with the first rank that differs and {@code
   *     differs}
   * @throws Exception from {@code mine}
   */
  public static void require(Ranks ranks, Callable<?> mine, String differs) throws Exception {
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
