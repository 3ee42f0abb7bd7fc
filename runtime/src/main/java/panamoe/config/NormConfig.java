package panamoe.config;

import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * A normalisation over the last dimension.
 *
 * @param kind LayerNorm (with a bias) or RMSNorm (without)
 * @param epsilon added to the variance (mean square)
 * @param unitOffset whether 1 is added to the weights (Gemma); null: no
 */
public record NormConfig(Kind kind, double epsilon, @Omittable Boolean unitOffset) {
  /** The kind of norm. */
  public enum Kind {
    LAYER,
    RMS
  }

  public NormConfig {
    Require.present("kind", kind);
    Require.positiveFloat("epsilon", epsilon);
  }

  /** Without an offset of the weights. */
  public NormConfig(Kind kind, double epsilon) {
    this(kind, epsilon, null);
  }

  /** Added to the weights. */
  public int offset() {
    return Boolean.TRUE.equals(unitOffset) ? 1 : 0;
  }
}
