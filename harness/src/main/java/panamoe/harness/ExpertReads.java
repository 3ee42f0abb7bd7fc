package panamoe.harness;

import java.util.Locale;
import panamoe.moe.ExpertCache;

/** What a model that is larger than its memory has read, in words. */
public final class ExpertReads {
  private static final double MEBI = 1 << 20;

  private ExpertReads() {}

  /** A sentence, with the speed that reading alone would allow. */
  public static String sentence(ExpertCache.Statistics reads) {
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "experts: %.1f %% of %,d uses in memory, which has room for %d of %d;"
                + " %,.1f MiB read at %,.0f MiB/s",
            100 * reads.hitRate(),
            reads.uses(),
            reads.slots(),
            reads.experts(),
            reads.bytesRead() / MEBI,
            reads.bandwidth() / MEBI));
    if (reads.guesses() > 0) {
      text.append(
          String.format(
              Locale.ROOT,
              "; %.0f %% of %,d guesses right",
              100.0 * reads.guessedHits() / reads.guesses(),
              reads.guesses()));
    }
    if (reads.bytesPerToken() > 0) {
      text.append(
          String.format(
              Locale.ROOT,
              "; %,.2f MiB a token written: at most %,.1f tokens/s",
              reads.bytesPerToken() / MEBI,
              reads.mostTokensPerSecond()));
    }
    if (reads.mended() > 0) {
      text.append("; ").append(reads.mended()).append(" were damaged, and written again");
    }
    return text.toString();
  }
}
