package panamoe.harness;

import panamoe.io.Count;
import panamoe.io.Words;
import panamoe.param.ExpertCacheStatistics;

/** Describes the disk reads of a model that is larger than its memory. */
public final class ExpertReads {
  private ExpertReads() {}

  /** A sentence with the speed limit that the reads imply. */
  public static String sentence(ExpertCacheStatistics statistics) {
    StringBuilder text = new StringBuilder();
    text.append(
        Words.of(
            "experts: %.1f %% of %,d uses in memory, which has room for %d of %d;"
                + " %s read at %s/s",
            100 * statistics.uses().hitRate(),
            statistics.uses().count(),
            statistics.slots(),
            statistics.experts(),
            Count.bytes(statistics.reads().bytes()),
            Count.bytes(statistics.reads().bandwidth())));
    if (statistics.guesses().made() > 0) {
      text.append(
          Words.of(
              "; %.0f %% of %,d guesses right",
              100.0 * statistics.guesses().right() / statistics.guesses().made(),
              statistics.guesses().made()));
    }
    if (statistics.written().bytesPerToken() > 0) {
      text.append(
          Words.of(
              "; %s a token generated: at most %,.1f tokens/s",
              Count.bytes(statistics.written().bytesPerToken()), statistics.mostTokensPerSecond()));
    }
    if (statistics.reads().mended() > 0) {
      text.append("; ")
          .append(statistics.reads().mended())
          .append(" were damaged, and written again");
    }
    return text.toString();
  }
}
