package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/** Qwen3 (Alibaba): queries and keys are normalised head by head. */
final class Qwen3 implements Family {
  @Override
  public String type() {
    return "qwen3";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    decoder.requireFullAttention();
    GroupedQueryConfig.Heads heads = decoder.heads(128);
    AttentionConfig attention =
        new GroupedQueryConfig(
            heads,
            Biases.all(keys.flag("attention_bias", false)),
            new QueryKeyNorm(QueryKeyNorm.Over.HEAD, decoder.norm()),
            null,
            RotaryKeys.of(keys, 1e4, heads.size(), Rotary.Pairs.HALVES),
            Scores.CAUSAL);
    return decoder.model(_ -> attention, decoder.dense(false));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder();
  }
}
