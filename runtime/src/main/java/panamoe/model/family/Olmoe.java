package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;

/** OLMoE (Ai2): queries and keys are normalised over the whole projection, and may be clipped. */
final class Olmoe implements Family {
  @Override
  public String type() {
    return "olmoe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    double clip = keys.number("clip_qkv", 0);
    AttentionConfig attention =
        decoder
            .attention(decoder.heads(), 1e4)
            .with(decoder.norm(Over.PROJECTION))
            .withClip(clip == 0 ? null : clip);
    boolean normalized = keys.flag("norm_topk_prob", false);
    MoeConfig experts = decoder.experts("num_experts", "intermediate_size", normalized);
    return decoder.model(_ -> attention, _ -> experts);
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder().experts("mlp", "mlp", "gate_proj", "up_proj", "down_proj");
  }
}
