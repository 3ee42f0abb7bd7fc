package panamoe.train;

import panamoe.op.PreferenceOp;

/**
 * What a model prefers: means over pairs of answers; see {@link PreferenceOp}.
 *
 * @param loss in nats
 * @param margin z
 * @param accuracy the share of pairs whose margin is more than 0
 */
public record PairMetrics(double loss, double margin, double accuracy) {
  /** Null without sums. */
  static PairMetrics of(PreferenceOp.Sums sums, double pairs) {
    return sums == null
        ? null
        : new PairMetrics(sums.loss() / pairs, sums.margin() / pairs, sums.right() / pairs);
  }
}
