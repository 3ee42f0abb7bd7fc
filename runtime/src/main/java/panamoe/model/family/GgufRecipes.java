package panamoe.model.family;

import java.util.Map;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;

/** The GGUF tensors of each weight's rows. */
final class GgufRecipes {
  private GgufRecipes() {}

  /**
   * The recipes of an architecture.
   *
   * @param config of the model
   */
  static Recipes of(String architecture, ModelConfig config) {
    Recipes recipes =
        new Recipes("blk.%d.")
            .again(RopeFactors.names(architecture))
            .put("embedding.weight", Recipe.tensor("token_embd.weight"))
            .put("final_norm.weight", Recipe.tensor("output_norm.weight"))
            .put("head.weight", Recipe.tensor("output.weight"))
            .put("attention_norm.weight", Recipe.tensor("attn_norm.weight"))
            .put("mlp_norm.weight", Recipe.tensor("ffn_norm.weight"))
            .put("attention_output_norm.weight", Recipe.tensor("post_attention_norm.weight"))
            .put("mlp_output_norm.weight", Recipe.tensor("post_ffw_norm.weight"))
            .put("attention.query_norm.weight", Recipe.tensor("attn_q_norm.weight"))
            .put("attention.key_norm.weight", Recipe.tensor("attn_k_norm.weight"))
            .put("attention.sinks", Recipe.tensor("attn_sinks.weight"))
            .put(
                "moe.shared.up.weight",
                Recipe.joined("ffn_gate_shexp.weight", "ffn_up_shexp.weight"))
            .put("moe.shared.down.weight", Recipe.tensor("ffn_down_shexp.weight"))
            .put("moe.shared.gate.weight", Recipe.row("ffn_gate_inp_shexp.weight"))
            .put("moe.gate.correction", Recipe.tensor("exp_probs_b.bias"));
    Map<String, String> projections =
        Map.of("query", "attn_q", "key", "attn_k", "value", "attn_v", "output", "attn_output");
    for (String kind : new String[] {".weight", ".bias"}) {
      projections.forEach(
          (ours, theirs) -> recipes.put("attention." + ours + kind, Recipe.tensor(theirs + kind)));
      recipes
          .put("mlp.up" + kind, Recipe.joined("ffn_gate" + kind, "ffn_up" + kind))
          .put("mlp.down" + kind, Recipe.tensor("ffn_down" + kind))
          .put("moe.gate" + kind, Recipe.tensor("ffn_gate_inp" + kind))
          .put("moe.experts.up" + kind, up(kind))
          .put("moe.experts.down" + kind, down(kind));
    }
    switch (architecture) {
      case "granite", "granitemoe", "llama", "smollm3" -> {
        // Rotary pairs are adjacent in GGUF, and halves apart in Hugging Face's models.
        GroupedQueryConfig.Heads heads =
            ((GroupedQueryConfig) config.blocks().getFirst().attention()).heads();
        for (String part : new String[] {"query", "key"}) {
          for (String kind : new String[] {".weight", ".bias"}) {
            Recipe pairs = Recipe.tensor(projections.get(part) + kind);
            recipes.put("attention." + part + kind, pairs.halvesOfPairs(heads.size()));
          }
        }
      }
      case "gemma2", "gemma3" ->
          recipes.change(
              norm -> norm.storedPlus(1),
              "attention_norm.weight",
              "attention_output_norm.weight",
              "mlp_norm.weight",
              "mlp_output_norm.weight",
              "final_norm.weight",
              "attention.query_norm.weight",
              "attention.key_norm.weight");
      case "phimoe" ->
          recipes
              .put("attention_norm.bias", Recipe.tensor("attn_norm.bias"))
              .put("mlp_norm.bias", Recipe.tensor("ffn_norm.bias"))
              .put("final_norm.bias", Recipe.tensor("output_norm.bias"))
              .put("head.bias", Recipe.tensor("output.bias"));
      case "gemma4" ->
          recipes
              .put("scale", Recipe.tensor("layer_output_scale.weight"))
              .put("moe.shared.up.weight", Recipe.joined("ffn_gate.weight", "ffn_up.weight"))
              .put("moe.shared.down.weight", Recipe.tensor("ffn_down.weight"))
              .put("moe.shared.norm.weight", Recipe.tensor("ffn_norm.weight"))
              .put("moe.shared.output_norm.weight", Recipe.tensor("post_ffw_norm_1.weight"))
              .put("moe.experts_norm.weight", Recipe.tensor("pre_ffw_norm_2.weight"))
              .put("moe.experts_output_norm.weight", Recipe.tensor("post_ffw_norm_2.weight"))
              .put("moe.gate.norm.weight", Recipe.tensor("ffn_gate_inp.scale"))
              .put("moe.experts.down.weight", Recipe.unscaled("ffn_down_exps.weight"))
              .put("moe.gate.factors", Recipe.tensor("ffn_down_exps.scale"));
      case "deepseek2" -> putDeepSeek(recipes);
      case "gpt-oss" -> recipes.put("mlp_norm.weight", Recipe.tensor("post_attention_norm.weight"));
      case "glm4moe" ->
          recipes
              .put("mlp_norm.weight", Recipe.tensor("post_attention_norm.weight"))
              .withoutFurtherLayers();
      case "phi3" -> {
        String all = "attn_qkv.weight";
        recipes
            .put("attention.query.weight", Recipe.fused(all, Recipe.Fused.QUERY))
            .put("attention.key.weight", Recipe.fused(all, Recipe.Fused.KEY))
            .put("attention.value.weight", Recipe.fused(all, Recipe.Fused.VALUE))
            .put("mlp.up.weight", Recipe.tensor("ffn_up.weight"));
      }
      default -> {}
    }
    return recipes;
  }

  private static void putDeepSeek(Recipes recipes) {
    recipes
        .put("attention.query_down.weight", Recipe.tensor("attn_q_a.weight"))
        .put("attention.query_norm.weight", Recipe.tensor("attn_q_a_norm.weight"))
        .put("attention.query.weight", Recipe.latentQuery("attn_q.weight", "attn_q_b.weight"))
        .put("attention.key_value_down.weight", Recipe.tensor("attn_kv_a_mqa.weight"))
        .put("attention.key_value_norm.weight", Recipe.tensor("attn_kv_a_norm.weight"));
    // Older files have the keys and values of all heads in one matrix.
    String both = "attn_kv_b.weight";
    recipes
        .put(
            "attention.key_up.weight",
            Recipe.either(both, Recipe.keysOfHeads(both), Recipe.stack("attn_k_b.weight")))
        .put(
            "attention.value_up.weight",
            Recipe.either(both, Recipe.valuesOfHeads(both), Recipe.stack("attn_v_b.weight")));
  }

  /** The gate and up matrices of a SwiGLU: two stacks of experts, or one, gates first. */
  private static Recipe up(String kind) {
    String both = "ffn_gate_up_exps" + kind;
    String gates = "ffn_gate_exps" + kind;
    Recipe two = Recipe.joined(Recipe.stacked(gates), Recipe.stacked("ffn_up_exps" + kind));
    // The oldest files have a tensor for each expert.
    Recipe each = Recipe.joined("ffn_gate.*" + kind, "ffn_up.*" + kind);
    String first = "ffn_gate.0" + kind;
    return Recipe.either(both, Recipe.stacked(both), Recipe.either(first, each, two));
  }

  private static Recipe down(String kind) {
    return Recipe.either(
        "ffn_down.0" + kind,
        Recipe.tensor("ffn_down.*" + kind),
        Recipe.stacked("ffn_down_exps" + kind));
  }
}
