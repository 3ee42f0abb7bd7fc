package panamoe.param;

/**
 * Statistics of an {@link ExpertCache}.
 *
 * @param experts of all layers
 * @param slots experts that memory has room for
 */
public record ExpertCacheStatistics(
    int experts, int slots, Uses uses, Guesses guesses, Reads reads, Written written) {
  /**
   * @param count how often a step needed an expert
   * @param hits uses of an expert that was in memory or prefetched
   */
  public record Uses(long count, long hits) {
    /** The hit rate; 1 before the first use. */
    public double hitRate() {
      return count == 0 ? 1 : (double) hits / count;
    }
  }

  /**
   * @param made prefetched experts
   * @param right hits on prefetched experts
   */
  public record Guesses(long made, long right) {}

  /**
   * @param bytes from the source
   * @param nanos with at least one read pending
   * @param mended experts repaired in the source
   */
  public record Reads(long bytes, long nanos, long mended) {
    /** Bytes a second while reading; 0 before the first read. */
    public double bandwidth() {
      return nanos == 0 ? 0 : bytes * 1e9 / nanos;
    }
  }

  /**
   * @param tokens of decode steps
   * @param bytes read in these steps
   */
  public record Written(long tokens, long bytes) {
    /** Bytes read per decoded token. */
    public double bytesPerToken() {
      return tokens == 0 ? 0 : (double) bytes / tokens;
    }
  }

  /** The limit of tokens per second by reading: bandwidth / bytes per token. */
  public double mostTokensPerSecond() {
    double bytes = written.bytesPerToken();
    return bytes == 0 ? Double.POSITIVE_INFINITY : reads.bandwidth() / bytes;
  }
}
