package panamoe.train;

import panamoe.io.Require;

/**
 * Training on pairs of answers by direct preference optimisation; see {@link
 * panamoe.op.PreferenceOp}. The reference is the model without its adapters or, if all weights are
 * trained, the model before its first step.
 *
 * @param beta how strongly the model is held to its reference
 */
public record PreferenceConfig(double beta) {
  public PreferenceConfig {
    Require.positiveFloat("beta", beta);
  }
}
