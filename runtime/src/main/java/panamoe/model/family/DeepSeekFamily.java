package panamoe.model.family;

import java.util.List;
import java.util.function.IntFunction;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.config.AttentionConfig;
import panamoe.config.DenseConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.GateConfig;
import panamoe.config.LatentAttentionConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;
import panamoe.config.Rotary;

/** What DeepSeek-V2 and V3 have in common: latent attention, and shared experts without a gate. */
final class DeepSeekFamily {
  private DeepSeekFamily() {}

  static Decoder decoder(Keys keys) {
    keys.require("attention_bias", false);
    keys.require("moe_layer_freq", 1);
    // These follow from other keys; the next ones are for training.
    keys.ignore("head_dim", "qk_head_dim", "num_key_value_heads");
    keys.ignore("ep_size", "aux_loss_alpha", "seq_aux", "num_nextn_predict_layers");
    return Decoder.of(keys, 1e-6);
  }

  static AttentionConfig attention(Keys keys, Rotary.Pairs pairs) {
    int nope = keys.count("qk_nope_head_dim");
    int rotated = keys.count("qk_rope_head_dim");
    Rotary rotary = RotaryKeys.of(keys, 1e4, rotated, pairs);
    double factor = RotaryKeys.attentionFactor(keys);
    return new LatentAttentionConfig(
        new LatentAttentionConfig.Heads(
            keys.count("num_attention_heads"), nope, keys.count("v_head_dim")),
        new LatentAttentionConfig.Ranks(
            keys.has("q_lora_rank") ? keys.count("q_lora_rank") : null, keys.count("kv_lora_rank")),
        // Fixed in the model's code; rms_norm_eps is for the other norms.
        new NormConfig(NormConfig.Kind.RMS, 1e-6),
        rotary,
        factor == 1 ? null : factor / Math.sqrt(nope + rotated));
  }

  /**
   * V3's gate: sigmoid scores, to which a bias is added for the choice alone, in the groups whose
   * two best are best.
   */
  static GateConfig sigmoid(Keys keys) {
    if (!keys.text("scoring_func", "sigmoid").equals("noaux_tc")) { // which dots.llm1 has for it
      keys.require("scoring_func", "sigmoid");
    }
    keys.require("topk_method", "noaux_tc");
    boolean normalized = keys.flag("norm_topk_prob", true);
    return new GateConfig(
        Decoder.chosen(keys, keys.count("n_routed_experts")),
        false,
        Score.SIGMOID,
        new GateConfig.Choice(
            keys.count("n_group", 1),
            keys.count("topk_group", 1),
            GroupScore.TOP2_SUM,
            true,
            GateConfig.Noise.NONE),
        new GateConfig.RouteWeight(
            normalized ? Normalization.CHOSEN : Normalization.RAW,
            0,
            1e-20,
            keys.number("routed_scaling_factor", 1)),
        GateConfig.Capacity.DROPLESS,
        new GateConfig.Loss(true, 0, 0));
  }

  /** The first layers are dense, the others have experts. */
  static IntFunction<FeedForwardConfig> feedForward(Keys keys, GateConfig gate) {
    int dense = keys.numbers("first_k_dense_replace").stream().findFirst().orElse(0);
    int inner = keys.count("moe_intermediate_size");
    int shared = keys.numbers("n_shared_experts").stream().findFirst().orElse(0);
    FeedForwardConfig first =
        new DenseConfig(keys.count("intermediate_size"), Activation.SWIGLU, false);
    FeedForwardConfig others =
        MoeConfig.of(keys.count("n_routed_experts"), inner, Activation.SWIGLU, false, gate)
            .withShared(Decoder.shared(shared, inner));
    List<String> types = keys.texts("mlp_layer_types"); // of transformers 5
    int layers = keys.count("num_hidden_layers");
    if (types.isEmpty()) {
      return layer -> layer < dense ? first : others;
    }
    if (types.size() != layers || !List.of("dense", "sparse").containsAll(types)) {
      throw keys.bad("mlp_layer_types", types.toString(), "dense or sparse for each of the layers");
    }
    return layer -> types.get(layer).equals("dense") ? first : others;
  }

  static Recipes recipes() {
    return experts(Recipes.ofDecoder())
        .put("attention.query_down.weight", Recipe.tensor("self_attn.q_a_proj.weight"))
        .put("attention.query_norm.weight", Recipe.tensor("self_attn.q_a_layernorm.weight"))
        .put(
            "attention.query.weight",
            Recipe.latentQuery("self_attn.q_proj.weight", "self_attn.q_b_proj.weight"))
        .put(
            "attention.key_value_down.weight", Recipe.tensor("self_attn.kv_a_proj_with_mqa.weight"))
        .put("attention.key_value_norm.weight", Recipe.tensor("self_attn.kv_a_layernorm.weight"))
        .put("attention.key_up.weight", Recipe.keysOfHeads("self_attn.kv_b_proj.weight"))
        .put("attention.value_up.weight", Recipe.valuesOfHeads("self_attn.kv_b_proj.weight"));
  }

  /** Adds experts, shared ones, and the bias of V3's choice. */
  static Recipes experts(Recipes recipes) {
    return recipes
        .experts("mlp", "mlp", "gate_proj", "up_proj", "down_proj")
        .swiglu("moe.shared", "mlp.shared_experts")
        .put("moe.gate.correction", Recipe.tensor("mlp.gate.e_score_correction_bias"));
  }
}
