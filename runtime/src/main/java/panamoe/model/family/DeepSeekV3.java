package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/**
 * DeepSeek-V3 and R1: sigmoid scores, to which a bias is added for the choice alone; experts are
 * chosen in the groups whose two best are best. The files' layers behind the last predict tokens
 * further on.
 */
final class DeepSeekV3 implements Family {
  @Override
  public String type() {
    return "deepseek_v3";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = DeepSeekFamily.decoder(keys);
    boolean adjacent = keys.flag("rope_interleave", true);
    AttentionConfig attention =
        DeepSeekFamily.attention(keys, adjacent ? Rotary.Pairs.ADJACENT : Rotary.Pairs.HALVES);
    return decoder.model(
        _ -> attention, DeepSeekFamily.feedForward(keys, DeepSeekFamily.sigmoid(keys)));
  }

  @Override
  public Recipes recipes() {
    return DeepSeekFamily.recipes().withoutFurtherLayers();
  }
}
