package panamoe.lab.bench;

import java.util.Collections;
import java.util.Locale;
import java.util.stream.IntStream;
import panamoe.backend.GateSettings.Normalization;
import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.GateConfig.RouteWeight;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.HeadConfig;
import panamoe.config.InitialWeights;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;
import panamoe.config.UniformModel;

/** The model around a layer, which prefill, decode and decode-batch run. */
public enum GenerationModel {
  /** Four layers, experts on every other one; LayerNorm, learned positions. */
  PAPER {
    @Override
    public ModelConfig config(LayerShape shape, int vocabulary) {
      int heads = heads(shape);
      return new UniformModel(
              vocabulary,
              CONTEXT,
              shape.hidden(),
              new UniformModel.Attention(heads, heads, UniformModel.Positions.LEARNED),
              new UniformModel.FeedForward(
                  shape.expertHidden(),
                  shape.activation(),
                  IntStream.range(0, 4)
                      .mapToObj(layer -> layer % 2 == 1 ? shape.experts() : 0)
                      .toList(),
                  false,
                  shape.config().gate()),
              NormConfig.Kind.LAYER,
              false,
              LayerBench.DEVIATION)
          .toConfig();
    }
  },
  /**
   * Two layers like Qwen3-MoE's, both with experts: RMSNorm, QK-norm per head, rotary positions.
   */
  QWEN3 {
    @Override
    public ModelConfig config(LayerShape shape, int vocabulary) {
      int layers = 2;
      int heads = heads(shape);
      int headSize = shape.hidden() / heads;
      NormConfig norm = new NormConfig(NormConfig.Kind.RMS, 1e-6);
      AttentionConfig attention =
          new GroupedQueryConfig(
              new GroupedQueryConfig.Heads(heads, heads, headSize),
              GroupedQueryConfig.Biases.all(false),
              new GroupedQueryConfig.QueryKeyNorm(GroupedQueryConfig.QueryKeyNorm.Over.HEAD, norm),
              null,
              Rotary.whole(1e6, headSize),
              AttentionConfig.Scores.CAUSAL);
      BlockConfig block =
          new BlockConfig(
              norm,
              attention,
              norm,
              shape
                  .config()
                  .withGate(
                      shape.config().gate().withWeight(RouteWeight.of(Normalization.CHOSEN))));
      return new ModelConfig(
          vocabulary,
          CONTEXT,
          shape.hidden(),
          new EmbeddingConfig(EmbeddingConfig.Positions.NONE),
          Collections.nCopies(layers, block),
          norm,
          HeadConfig.TIED,
          InitialWeights.of(LayerBench.DEVIATION, layers));
    }
  };

  public static final int VOCABULARY = 8192;
  static final int CONTEXT = 4096;

  private static final int HEAD_SIZE = 64;

  /** The model with layers of {@code shape}. */
  public abstract ModelConfig config(LayerShape shape, int vocabulary);

  ModelConfig config(LayerShape shape) {
    return config(shape, VOCABULARY);
  }

  private static int heads(LayerShape shape) {
    return Math.max(1, shape.hidden() / HEAD_SIZE);
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
