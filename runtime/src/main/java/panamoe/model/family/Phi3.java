package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;
import panamoe.model.family.Recipe.Fused;

/** Phi-3 and Phi-4 (Microsoft): Llama whose projections are stored as one matrix. */
final class Phi3 implements Family {
  @Override
  public String type() {
    return "phi3";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    keys.ignore("embd_pdrop", "resid_pdrop"); // of training
    keys.ignore("original_max_position_embeddings"); // without meaning unless RotaryKeys reads it
    keys.require("attention_bias", false);
    keys.require("mlp_bias", false);
    keys.require("lm_head_bias", false);
    keys.require("full_attn_mod", 1);
    keys.require("interpolate_factor", 1);
    GroupedQueryConfig.Heads heads = decoder.heads();
    AttentionConfig attention =
        GroupedQueryConfig.of(
                heads, false, RotaryKeys.ofPart(keys, 1e4, heads.size(), 1, Rotary.Pairs.HALVES))
            .with(Scores.of(keys.count("sliding_window", 0)));
    return decoder.model(_ -> attention, decoder.dense(false));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder()
        .put("attention.query.weight", Recipe.fused("self_attn.qkv_proj.weight", Fused.QUERY))
        .put("attention.key.weight", Recipe.fused("self_attn.qkv_proj.weight", Fused.KEY))
        .put("attention.value.weight", Recipe.fused("self_attn.qkv_proj.weight", Fused.VALUE))
        .put("mlp.up.weight", Recipe.tensor("mlp.gate_up_proj.weight"));
  }
}
