package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/** Qwen2 and Qwen2.5 (Alibaba): queries, keys and values have biases. */
final class Qwen2 implements Family {
  @Override
  public String type() {
    return "qwen2";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    decoder.requireFullAttention();
    keys.require("use_mrope", false);
    GroupedQueryConfig.Heads heads = decoder.heads();
    AttentionConfig attention =
        GroupedQueryConfig.of(
                heads, false, RotaryKeys.of(keys, 1e4, heads.size(), Rotary.Pairs.HALVES))
            .with(new Biases(true, true, true, false));
    return decoder.model(_ -> attention, decoder.dense(false));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder();
  }
}
