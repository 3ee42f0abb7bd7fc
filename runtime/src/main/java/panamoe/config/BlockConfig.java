package panamoe.config;

import java.util.function.UnaryOperator;
import panamoe.io.Require;

/**
 * One transformer block: {@code x + attention(norm(x))}, then {@code + feedForward(norm(.))}.
 *
 * @param attentionNorm before attention
 * @param feedForwardNorm before the MLP or the experts
 */
public record BlockConfig(
    NormConfig attentionNorm,
    AttentionConfig attention,
    NormConfig feedForwardNorm,
    FeedForwardConfig feedForward) {
  public BlockConfig {
    Require.present("attentionNorm", attentionNorm);
    Require.present("attention", attention);
    Require.present("feedForwardNorm", feedForwardNorm);
    Require.present("feedForward", feedForward);
  }

  /** The number of its experts; 0 for a dense block. */
  public int experts() {
    return feedForward instanceof MoeConfig moe ? moe.experts() : 0;
  }

  /** This block with another MLP, or other experts. */
  public BlockConfig withFeedForward(FeedForwardConfig other) {
    return new BlockConfig(attentionNorm, attention, feedForwardNorm, other);
  }

  /** This block with another gate, if it has experts. */
  BlockConfig withGate(UnaryOperator<GateConfig> change) {
    return feedForward instanceof MoeConfig moe
        ? withFeedForward(moe.withGate(change.apply(moe.gate())))
        : this;
  }
}
