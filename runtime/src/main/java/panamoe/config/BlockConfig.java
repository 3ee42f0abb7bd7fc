package panamoe.config;

import java.util.function.UnaryOperator;
import panamoe.io.Omittable;
import panamoe.io.Require;

/**
 * One transformer block: {@code x + attention(norm(x))}, then {@code + feedForward(norm(.))}.
 *
 * @param attentionNorm of attention
 * @param feedForwardNorm of the MLP or the experts
 * @param norms where both norms are; null: {@link Norms#BEFORE}
 * @param outputScale factor of what attention, and the MLP or the experts, add to x (Granite),
 *     above 0; null: 1
 * @param scaled whether a stored number, which training leaves, scales the block's output (Gemma
 *     4); null: no
 */
public record BlockConfig(
    NormConfig attentionNorm,
    AttentionConfig attention,
    NormConfig feedForwardNorm,
    FeedForwardConfig feedForward,
    @Omittable Norms norms,
    @Omittable Double outputScale,
    @Omittable Boolean scaled) {

  /** Where a norm is around attention, and around the MLP or the experts. */
  public enum Norms {
    /** {@code x + f(norm(x))}. */
    BEFORE,
    /** {@code x + norm(f(x))} (OLMo 2). */
    AFTER,
    /** {@code x + norm(f(norm(x)))}, two norms with weights of their own (Gemma 2). */
    AROUND
  }

  public BlockConfig {
    Require.present("attentionNorm", attentionNorm);
    Require.present("attention", attention);
    Require.present("feedForwardNorm", feedForwardNorm);
    Require.present("feedForward", feedForward);
    if (outputScale != null) {
      Require.positiveFloat("outputScale", outputScale);
    }
  }

  /** With norms before attention and before the MLP, and without a scale. */
  public BlockConfig(
      NormConfig attentionNorm,
      AttentionConfig attention,
      NormConfig feedForwardNorm,
      FeedForwardConfig feedForward) {
    this(attentionNorm, attention, feedForwardNorm, feedForward, null, null);
  }

  /** Without a stored scale. */
  public BlockConfig(
      NormConfig attentionNorm,
      AttentionConfig attention,
      NormConfig feedForwardNorm,
      FeedForwardConfig feedForward,
      Norms norms,
      Double outputScale) {
    this(attentionNorm, attention, feedForwardNorm, feedForward, norms, outputScale, null);
  }

  /** Whether a stored number scales the output. */
  public boolean hasScale() {
    return Boolean.TRUE.equals(scaled);
  }

  /** Whether the input of attention, and of the MLP, is normalised. */
  public boolean normsInputs() {
    return norms != Norms.AFTER;
  }

  /** Whether the output of attention, and of the MLP, is normalised. */
  public boolean normsOutputs() {
    return norms == Norms.AFTER || norms == Norms.AROUND;
  }

  /** The number of its experts; 0 for a dense block. */
  public int experts() {
    return feedForward instanceof MoeConfig moe ? moe.experts() : 0;
  }

  /** This block with another MLP, or other experts. */
  public BlockConfig withFeedForward(FeedForwardConfig other) {
    return new BlockConfig(
        attentionNorm, attention, feedForwardNorm, other, norms, outputScale, scaled);
  }

  /** This block with other attention. */
  public BlockConfig withAttention(AttentionConfig other) {
    return new BlockConfig(
        attentionNorm, other, feedForwardNorm, feedForward, norms, outputScale, scaled);
  }

  /** This block with a factor of what it adds to x; null: 1. */
  public BlockConfig withOutputScale(Double other) {
    return new BlockConfig(
        attentionNorm, attention, feedForwardNorm, feedForward, norms, other, scaled);
  }

  /** This block, whose output a stored number scales. */
  public BlockConfig withScale() {
    return new BlockConfig(
        attentionNorm, attention, feedForwardNorm, feedForward, norms, outputScale, true);
  }

  /** Whether the input of the MLP, or of the experts' layer as a whole, is normalised. */
  public boolean normsFeedForwardInput() {
    return normsInputs() && !(feedForward instanceof MoeConfig moe && moe.branchNorm() != null);
  }

  /** This block with another gate, if it has experts. */
  BlockConfig withGate(UnaryOperator<GateConfig> change) {
    return feedForward instanceof MoeConfig moe
        ? withFeedForward(moe.withGate(change.apply(moe.gate())))
        : this;
  }
}
