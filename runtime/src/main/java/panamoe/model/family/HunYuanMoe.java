package panamoe.model.family;

import panamoe.backend.Activation;
import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/** Hunyuan-A13B (Tencent): queries and keys are normalised after they were turned. */
final class HunYuanMoe implements Family {
  @Override
  public String type() {
    return "hunyuan_v1_moe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    GroupedQueryConfig.Heads heads = decoder.heads();
    AttentionConfig attention =
        new GroupedQueryConfig(
            heads,
            Biases.all(keys.flag("attention_bias", false)),
            new QueryKeyNorm(QueryKeyNorm.Over.TURNED_HEAD, decoder.norm()),
            null,
            RotaryKeys.of(keys, 1e4, heads.size(), Rotary.Pairs.HALVES),
            Scores.CAUSAL);
    int experts = keys.count("num_experts");
    int inner = keys.count("intermediate_size");
    GateConfig gate =
        Decoder.softmax(
            keys.count(
                "moe_topk", Math.min(experts, GateConfig.MAX_TOP_K), ", the number of experts"),
            true);
    MoeConfig moe =
        MoeConfig.of(experts, inner, Activation.SWIGLU, false, gate)
            .withShared(new MoeConfig.SharedExpert(inner, false));
    return decoder.model(_ -> attention, _ -> moe);
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder()
        .put("attention.query_norm.weight", Recipe.tensor("self_attn.query_layernorm.weight"))
        .put("attention.key_norm.weight", Recipe.tensor("self_attn.key_layernorm.weight"))
        .experts("mlp", "mlp", "gate_proj", "up_proj", "down_proj")
        .put("moe.gate.weight", Recipe.tensor("mlp.gate.wg.weight"))
        .swiglu("moe.shared", "mlp.shared_mlp");
  }
}
