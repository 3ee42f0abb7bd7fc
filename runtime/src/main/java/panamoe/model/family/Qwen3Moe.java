package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;

/** Qwen3-MoE (Alibaba): queries and keys are normalised head by head. */
final class Qwen3Moe implements Family {
  @Override
  public String type() {
    return "qwen3_moe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    decoder.requireFullAttention();
    AttentionConfig attention =
        decoder.attention(decoder.heads(128), 1e4).with(decoder.norm(Over.HEAD));
    boolean normalized = keys.flag("norm_topk_prob", false);
    MoeConfig experts = decoder.experts("num_experts", "moe_intermediate_size", normalized);
    return decoder.model(_ -> attention, decoder.sparseBy(experts));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder().experts("mlp", "mlp", "gate_proj", "up_proj", "down_proj");
  }
}
