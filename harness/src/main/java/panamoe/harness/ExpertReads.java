package panamoe.harness;

import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.param.ExpertCacheStatistics;

/** Describes the disk reads of a model that is larger than its memory. */
public final class ExpertReads {
  private ExpertReads() {}

  /** A sentence with the speed limit that the reads imply. */
  public static String sentence(ExpertCacheStatistics told) {
    StringBuilder text = new StringBuilder();
    text.append(
        Words.of(
            "experts: %.1f %% of %,d uses in memory, which has room for %d of %d;"
                + " %s read at %s/s",
            100 * told.uses().hitRate(),
            told.uses().count(),
            told.slots(),
            told.experts(),
            Count.bytes(told.reads().bytes()),
            Count.bytes(told.reads().bandwidth())));
    if (told.guesses().made() > 0) {
      text.append(
          Words.of(
              "; %.0f %% of %,d guesses right",
              100.0 * told.guesses().right() / told.guesses().made(), told.guesses().made()));
    }
    if (told.written().bytesPerToken() > 0) {
      text.append(
          Words.of(
              "; %s a token written: at most %,.1f tokens/s",
              Count.bytes(told.written().bytesPerToken()), told.mostTokensPerSecond()));
    }
    if (told.reads().mended() > 0) {
      text.append("; ").append(told.reads().mended()).append(" were damaged, and written again");
    }
    return text.toString();
  }
}
