package panamoe.config;

/**
 * The table of tokens, and what is added to it.
 *
 * @param positions whether a learned vector for each position is added
 */
public record EmbeddingConfig(Positions positions) {
  /** What the embedding knows of a token's place. */
  public enum Positions {
    NONE,
    LEARNED
  }

  public EmbeddingConfig {
    Require.present("positions", positions);
  }
}
