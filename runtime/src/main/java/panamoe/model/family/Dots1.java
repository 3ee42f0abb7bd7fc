package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;

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
    AttentionConfig attention =
        decoder.attention(decoder.heads(), 1e4).with(decoder.norm(Over.HEAD));
    return decoder.model(
        _ -> attention, DeepSeekFamily.feedForward(keys, DeepSeekFamily.sigmoid(keys)));
  }

  @Override
  public Recipes recipes() {
    return DeepSeekFamily.experts(Recipes.ofDecoder());
  }
}
