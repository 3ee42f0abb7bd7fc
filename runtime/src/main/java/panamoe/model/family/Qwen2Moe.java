package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/** Qwen1.5-MoE and Qwen2-MoE (Alibaba): routed experts and a gated shared one. */
final class Qwen2Moe implements Family {
  @Override
  public String type() {
    return "qwen2_moe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    decoder.requireFullAttention();
    GroupedQueryConfig.Heads heads = decoder.heads();
    boolean bias = keys.flag("qkv_bias", true);
    AttentionConfig attention =
        GroupedQueryConfig.of(
                heads, false, RotaryKeys.of(keys, 1e4, heads.size(), Rotary.Pairs.HALVES))
            .with(new Biases(bias, bias, bias, false));
    boolean normalized = keys.flag("norm_topk_prob", false);
    MoeConfig experts =
        decoder
            .experts("num_experts", "moe_intermediate_size", normalized)
            .withShared(
                new MoeConfig.SharedExpert(keys.count("shared_expert_intermediate_size"), true));
    return decoder.model(_ -> attention, decoder.sparseBy(experts));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder()
        .experts("mlp", "mlp", "gate_proj", "up_proj", "down_proj")
        .swiglu("moe.shared", "mlp.shared_expert")
        .put("moe.shared.gate.weight", Recipe.tensor("mlp.shared_expert_gate.weight"));
  }
}
