package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/** OLMoE (Ai2): queries and keys are normalised over the whole projection, and may be clipped. */
final class Olmoe implements Family {
  @Override
  public String type() {
    return "olmoe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    GroupedQueryConfig.Heads heads = decoder.heads();
    double clip = keys.number("clip_qkv", 0);
    AttentionConfig attention =
        new GroupedQueryConfig(
            heads,
            Biases.all(keys.flag("attention_bias", false)),
            new QueryKeyNorm(QueryKeyNorm.Over.PROJECTION, decoder.norm()),
            clip == 0 ? null : clip,
            RotaryKeys.of(keys, 1e4, heads.size(), Rotary.Pairs.HALVES),
            Scores.CAUSAL);
    boolean normalized = keys.flag("norm_topk_prob", false);
    MoeConfig experts = decoder.experts("num_experts", "intermediate_size", normalized);
    return decoder.model(_ -> attention, _ -> experts);
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder().experts("mlp", "mlp", "gate_proj", "up_proj", "down_proj");
  }
}
