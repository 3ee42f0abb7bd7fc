package panamoe.param;

/**
 * What has happened so far in an {@link ExpertCache}.
 *
 * @param experts of all layers
 * @param slots experts that memory has room for
 */
public record ExpertCacheStatistics(
    int experts, int slots, Uses uses, Guesses guesses, Reads reads, Written written) {
  /**
   * @param count how often a step needed an expert
   * @param hits uses of an expert that was in memory, or was being read because of a guess
   */
  public record Uses(long count, long hits) {
    /** The part of the uses that found their expert in memory; 1 before the first one. */
    public double hitRate() {
      return count == 0 ? 1 : (double) hits / count;
    }
  }

  /**
   * @param made experts that were read because a router was likely to choose them
   * @param right hits that are owed to them
   */
  public record Guesses(long made, long right) {}

  /**
   * @param bytes from the source
   * @param nanos while at least one read was under way
   * @param mended experts that were damaged in the source
   */
  public record Reads(long bytes, long nanos, long mended) {
    /** Bytes a second while reading; 0 before the first read. */
    public double bandwidth() {
      return nanos == 0 ? 0 : bytes * 1e9 / nanos;
    }
  }

  /**
   * @param tokens of steps that wrote texts, without those of prompts
   * @param bytes read in these steps
   */
  public record Written(long tokens, long bytes) {
    /** Bytes that a written token had to wait for. */
    public double bytesPerToken() {
      return tokens == 0 ? 0 : (double) bytes / tokens;
    }
  }

  /** Tokens a second that reading alone allows: bandwidth / bytes a token. */
  public double mostTokensPerSecond() {
    double bytes = written.bytesPerToken();
    return bytes == 0 ? Double.POSITIVE_INFINITY : reads.bandwidth() / bytes;
  }
}
