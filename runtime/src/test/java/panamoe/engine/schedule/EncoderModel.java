package panamoe.engine.schedule;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.DenseConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.EncoderConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.HeadConfig;
import panamoe.config.InitialWeights;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;

/** A small byte-level model in the form of Switch Transformers. */
public final class EncoderModel {
  private static final NormConfig NORM = new NormConfig(NormConfig.Kind.RMS, 1e-6);

  private EncoderModel() {}

  /** Two layers in the encoder, three in the decoder. */
  public static ModelConfig of(int context) {
    DenseConfig dense = new DenseConfig(40, Activation.RELU, false);
    MoeConfig experts = MoeConfig.of(4, 24, Activation.RELU, false, GateConfig.dropless(1));
    return new ModelConfig(
        257,
        context,
        32,
        new EmbeddingConfig(
            EmbeddingConfig.Positions.NONE, new EmbeddingConfig.Relative(8, 20), 2.0),
        List.of(block(Mask.CAUSAL, dense), block(Mask.CAUSAL, experts), block(Mask.CAUSAL, dense)),
        NORM,
        new HeadConfig(true, false, 0.5),
        new InitialWeights(0.25, 0.25),
        new EncoderConfig(List.of(block(Mask.FULL, dense), block(Mask.FULL, experts)), NORM, 7));
  }

  private static BlockConfig block(Mask mask, FeedForwardConfig feedForward) {
    return new BlockConfig(
        NORM,
        new GroupedQueryConfig(
            new GroupedQueryConfig.Heads(4, 2, 12),
            GroupedQueryConfig.Biases.all(false),
            null,
            null,
            null,
            new Scores(mask, 0, false, 1.0)),
        NORM,
        feedForward);
  }
}
