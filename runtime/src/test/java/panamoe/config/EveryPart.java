package panamoe.config;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.GateSettings.DropPolicy;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.QueueOrder;
import panamoe.backend.GateSettings.Score;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.Heads;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;

/** A small model with every part of a configuration. */
public final class EveryPart {
  private static final QueryKeyNorm OVER_PROJECTION =
      new QueryKeyNorm(QueryKeyNorm.Over.PROJECTION, new NormConfig(NormConfig.Kind.RMS, 1e-5));

  private EveryPart() {}

  /**
   * Seven blocks of width 32: dense, shared gated expert, shared expert, latent attention, chunks,
   * norms of branches, residual.
   */
  public static ModelConfig model() {
    NormConfig layer = new NormConfig(NormConfig.Kind.LAYER, 1e-5);
    NormConfig rms = new NormConfig(NormConfig.Kind.RMS, 1e-6);
    NormConfig offset = new NormConfig(NormConfig.Kind.RMS, 1e-6, true);
    MoeConfig gated =
        new MoeConfig(
            8, 24, Activation.SWIGLU, false, grouped(), new MoeConfig.SharedExpert(20, true), null);
    MoeConfig shared =
        new MoeConfig(
            4, 16, Activation.SILU, true, noisy(), new MoeConfig.SharedExpert(12, false), null);
    MoeConfig residual =
        new MoeConfig(
            4, 16, Activation.GELU_TANH, true, sparseMixer(), null, new MoeConfig.Residual(28));
    MoeConfig branches =
        MoeConfig.of(4, 8, Activation.GEGLU_TANH, false, factors())
            .withShared(new MoeConfig.SharedExpert(12, false, rms));
    return new ModelConfig(
        61,
        24,
        32,
        new EmbeddingConfig(EmbeddingConfig.Positions.LEARNED, null, 3.0),
        List.of(
            new BlockConfig(layer, plain(), layer, new DenseConfig(40, Activation.RELU, true)),
            new BlockConfig(offset, perHead(), offset, gated, BlockConfig.Norms.AROUND, null),
            new BlockConfig(rms, overProjection(), rms, shared, null, 0.4),
            new BlockConfig(
                rms,
                latent(),
                rms,
                new DenseConfig(20, Activation.GEGLU_TANH, false),
                BlockConfig.Norms.AFTER,
                0.7),
            new BlockConfig(rms, chunked(), rms, new DenseConfig(12, Activation.SWIGLU, false)),
            new BlockConfig(rms, ofKeys(), rms, branches, BlockConfig.Norms.AROUND, null)
                .withScale(),
            new BlockConfig(rms, stretched(), layer, residual)),
        rms,
        new HeadConfig(false, false, 0.6, 1.5),
        new InitialWeights(0.1, 0.05));
  }

  /**
   * The model for {@code ranks} tensor ranks: plain attention where they cannot split the heads, or
   * a norm over a whole projection.
   */
  public static ModelConfig sliceable(int ranks) {
    ModelConfig whole = model();
    return new ModelConfig(
        whole.vocabulary(),
        whole.context(),
        whole.hidden(),
        whole.embedding(),
        whole.blocks().stream().map(block -> sliceable(block, ranks)).toList(),
        whole.finalNorm(),
        whole.head(),
        whole.initialWeights());
  }

  private static BlockConfig sliceable(BlockConfig block, int ranks) {
    boolean shared =
        switch (block.attention()) {
          case LatentAttentionConfig latent -> latent.heads().count() % ranks == 0;
          case GroupedQueryConfig grouped ->
              grouped.heads().keyValue() % ranks == 0
                  && !OVER_PROJECTION.equals(grouped.queryKeyNorm());
        };
    return shared ? block : block.withAttention(plain());
  }

  private static AttentionConfig plain() {
    return new GroupedQueryConfig(
        new Heads(4, 4, 8), Biases.all(true), null, null, null, Scores.CAUSAL);
  }

  private static AttentionConfig chunked() {
    return new GroupedQueryConfig(
        new Heads(4, 4, 6),
        Biases.all(false),
        null,
        null,
        null,
        Scores.ofChunks(4),
        new GroupedQueryConfig.Temperature(0.3, 3));
  }

  private static AttentionConfig perHead() {
    return new GroupedQueryConfig(
        new Heads(4, 2, 12),
        new Biases(true, true, true, false),
        new QueryKeyNorm(QueryKeyNorm.Over.HEAD, new NormConfig(NormConfig.Kind.RMS, 1e-6)),
        1.25,
        new Rotary(1e6, 6, Rotary.Pairs.ADJACENT, new RotaryScaling.Linear(2)),
        new Scores(Mask.CAUSAL, 3, true, 0.2, 0.5));
  }

  private static AttentionConfig overProjection() {
    return new GroupedQueryConfig(
        new Heads(4, 2, 8),
        Biases.all(false),
        OVER_PROJECTION,
        null,
        new Rotary(1e4, 8, Rotary.Pairs.HALVES, new RotaryScaling.Llama3(8, 1, 4, 16)),
        new Scores(Mask.FULL, 0, false, null));
  }

  private static AttentionConfig latent() {
    return new LatentAttentionConfig(
        new LatentAttentionConfig.Heads(4, 6, 5),
        new LatentAttentionConfig.Ranks(10, 7),
        new NormConfig(NormConfig.Kind.RMS, 1e-6),
        new Rotary(1e4, 4, Rotary.Pairs.ADJACENT, null),
        0.4);
  }

  private static AttentionConfig stretched() {
    return new GroupedQueryConfig(
        new Heads(4, 2, 8),
        Biases.all(false),
        new QueryKeyNorm(
            QueryKeyNorm.Over.ROTATED_HEAD, new NormConfig(NormConfig.Kind.RMS, 1e-6), true),
        null,
        new Rotary(1e4, 8, Rotary.Pairs.HALVES, new RotaryScaling.Yarn(4, 8, 32, 1, true, 1.1)),
        Scores.CAUSAL);
  }

  private static AttentionConfig ofKeys() {
    NormConfig norm = new NormConfig(NormConfig.Kind.RMS, 1e-6);
    return GroupedQueryConfig.of(
            new Heads(4, 2, 8),
            false,
            new Rotary(1e4, 8, Rotary.Pairs.HALVES, new RotaryScaling.Proportional(0.5)))
        .with(new QueryKeyNorm(QueryKeyNorm.Over.HEAD, norm))
        .with(new GroupedQueryConfig.Values(true, norm));
  }

  private static GateConfig factors() {
    GateConfig gate = GateConfig.deepSeek(2, 4);
    return gate.withWeight(gate.weight().timesFactors());
  }

  /** DeepSeek-V3's gate, small. */
  private static GateConfig grouped() {
    return new GateConfig(
        2,
        true,
        Score.SIGMOID,
        new GateConfig.Choice(4, 2, GroupScore.TOP2_SUM, true, GateConfig.Noise.NONE),
        new GateConfig.RouteWeight(Normalization.CHOSEN, 1e-9, 1e-20, 2.5),
        GateConfig.Capacity.DROPLESS,
        new GateConfig.Loss(true, 0.01, 0.001, true, 0.001, null));
  }

  private static GateConfig sparseMixer() {
    GateConfig gate = GateConfig.deepSpeed(1, 1.5, 2);
    return gate.withWeight(gate.weight().ofSparseMixer(0.9));
  }

  private static GateConfig noisy() {
    return new GateConfig(
        2,
        false,
        Score.SOFTMAX,
        GateConfig.Choice.with(GateConfig.Noise.GUMBEL_FROM_SECOND),
        GateConfig.RouteWeight.of(Normalization.SURVIVORS).at(GateConfig.RouteWeight.Place.INPUT),
        new GateConfig.Capacity(DropPolicy.BEST_SCORE, -1.25, 2, 2, QueueOrder.CHOICE_MAJOR),
        new GateConfig.Loss(false, 0.02, 0, null, null, true),
        new GateConfig.Cosine(10));
  }
}
