package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

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
    GroupedQueryConfig.Heads heads = decoder.heads(128);
    AttentionConfig attention =
        new GroupedQueryConfig(
            heads,
            Biases.all(keys.flag("attention_bias", false)),
            new QueryKeyNorm(QueryKeyNorm.Over.HEAD, decoder.norm()),
            null,
            RotaryKeys.of(keys, 1e4, heads.size(), Rotary.Pairs.HALVES),
            Scores.CAUSAL);
    boolean normalized = keys.flag("norm_topk_prob", false);
    MoeConfig experts = decoder.experts("num_experts", "moe_intermediate_size", normalized);
    return decoder.model(_ -> attention, decoder.sparseBy(experts));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder().experts("mlp", "mlp", "gate_proj", "up_proj", "down_proj");
  }
}
