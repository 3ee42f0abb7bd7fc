package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;

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
    AttentionConfig attention =
        decoder.attention(decoder.heads(128), 1e4).with(decoder.norm(Over.HEAD));
    return decoder.model(_ -> attention, decoder.dense(false));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder();
  }
}
