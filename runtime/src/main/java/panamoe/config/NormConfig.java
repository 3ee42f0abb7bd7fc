package panamoe.config;

import panamoe.io.Require;

/**
 * A normalisation over the last dimension.
 *
 * @param kind LayerNorm (with a bias) or RMSNorm (without)
 * @param epsilon added to the variance (mean square)
 */
public record NormConfig(Kind kind, double epsilon) {
  /** The kind of norm. */
  public enum Kind {
    LAYER,
    RMS
  }

  public NormConfig {
    Require.present("kind", kind);
    Require.positiveFloat("epsilon", epsilon);
  }
}
