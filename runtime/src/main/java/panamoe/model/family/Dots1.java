package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/** dots.llm1 (rednote): attention of Qwen3, experts of DeepSeek-V3. */
final class Dots1 implements Family {
  @Override
  public String type() {
    return "dots1";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    decoder.requireFullAttention();
    keys.require("moe_layer_freq", 1);
    GroupedQueryConfig.Heads heads = decoder.heads();
    AttentionConfig attention =
        new GroupedQueryConfig(
            heads,
            Biases.all(keys.flag("attention_bias", false)),
            new QueryKeyNorm(QueryKeyNorm.Over.HEAD, decoder.norm()),
            null,
            RotaryKeys.of(keys, 1e4, heads.size(), Rotary.Pairs.HALVES),
            Scores.CAUSAL);
    return decoder.model(
        _ -> attention, DeepSeekFamily.feedForward(keys, DeepSeekFamily.sigmoid(keys)));
  }

  @Override
  public Recipes recipes() {
    return DeepSeekFamily.experts(Recipes.ofDecoder());
  }
}
