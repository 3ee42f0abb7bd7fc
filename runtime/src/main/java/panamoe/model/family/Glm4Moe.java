package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/** GLM-4.5, 4.6 and 4.7 (Z.ai): half of each head is rotated; experts of DeepSeek-V3. */
final class Glm4Moe implements Family {
  @Override
  public String type() {
    return "glm4_moe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    keys.ignore("num_nextn_predict_layers"); // of layers that are left out
    GroupedQueryConfig.Heads heads = decoder.heads();
    boolean bias = keys.flag("attention_bias", false);
    AttentionConfig attention =
        GroupedQueryConfig.of(
                heads, false, RotaryKeys.ofPart(keys, 1e4, heads.size(), 0.5, Rotary.Pairs.HALVES))
            .with(new Biases(bias, bias, bias, false))
            .with(keys.flag("use_qk_norm", false) ? decoder.norm(Over.HEAD) : null);
    return decoder.model(
        _ -> attention, DeepSeekFamily.feedForward(keys, DeepSeekFamily.sigmoid(keys)));
  }

  @Override
  public Recipes recipes() {
    return DeepSeekFamily.experts(Recipes.ofDecoder()).withoutFurtherLayers();
  }
}
