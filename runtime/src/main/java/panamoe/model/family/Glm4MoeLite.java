package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/** GLM-4.7-Flash (Z.ai): a small DeepSeek-V3. */
final class Glm4MoeLite implements Family {
  @Override
  public String type() {
    return "glm4_moe_lite";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = DeepSeekFamily.decoder(keys);
    double part = keys.number("partial_rotary_factor", 1);
    if (part != 1) {
      throw keys.bad("partial_rotary_factor", "" + part, "1: the whole head is rotated");
    }
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
