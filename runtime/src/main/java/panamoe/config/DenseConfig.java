package panamoe.config;

import panamoe.backend.Activation;
import panamoe.io.Require;

/**
 * An MLP: M to F, activation, F to M.
 *
 * @param inner F
 * @param bias whether both matrices have a bias
 */
public record DenseConfig(int inner, Activation activation, boolean bias)
    implements FeedForwardConfig {
  public DenseConfig {
    Require.size("inner", inner, Require.MAX_WIDTH);
    Require.present("activation", activation);
  }
}
