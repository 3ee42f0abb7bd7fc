package panamoe.model.family;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.config.AttentionConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/** Hunyuan-A13B (Tencent): queries and keys are normalised after the rotation. */
final class HunYuanMoe implements Family {
  /** Keys of training, tokens, vision models, and of features that are refused below. */
  private static final String[] WITHOUT_MEANING = {
    "anyres_pooling_size",
    "anyres_vit_max_image_size",
    "anyres_vit_two_views",
    "attention_head_dim",
    "capacity_factor",
    "cla_share_factor",
    "class_num",
    "dense_list",
    "eod_token_id",
    "im_end_id",
    "im_newline_id",
    "im_start_id",
    "image_token_id",
    "mask_init_id",
    "moe_drop_tokens",
    "moe_random_routing_dropped_token",
    "n_group",
    "num_media_embeds",
    "org_vocab_size",
    "pad_id",
    "pool_type",
    "routed_scaling_factor",
    "sep_token_id",
    "skip_cls_token",
    "text_end_id",
    "text_start_id",
    "topk_group",
    "use_mixed_mlp_moe",
    "video_end_id",
    "video_start_id",
    "vit_add_patchemb_bias",
    "vit_input_resolution",
    "vit_mapping_type",
    "vit_norm_type",
    "vit_patch",
    "vit_remove_prenorm",
    "vit_token",
    "vit_used_rms_norm"
  };

  @Override
  public String type() {
    return "hunyuan_v1_moe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    keys.ignore(WITHOUT_MEANING);
    keys.require("add_classification_head", false);
    keys.require("group_limited_greedy", false);
    keys.require("mlp_bias", false);
    keys.require("moe_layer_num_skipped", 0);
    keys.require("norm_topk_prob", true);
    keys.require("norm_type", "rms");
    keys.require("position_embedding_xdrope", false);
    keys.require("use_cla", false);
    keys.require("use_mla", false);
    keys.require("use_qk_norm", true);
    keys.require("use_rotary_pos_emb", true);
    GroupedQueryConfig.Heads heads = decoder.heads();
    AttentionConfig attention =
        GroupedQueryConfig.of(heads, keys.flag("attention_bias", false), rotary(keys, heads.size()))
            .with(decoder.norm(Over.ROTATED_HEAD));
    int experts = ofAllLayers(keys, "num_experts");
    int inner = keys.count("intermediate_size");
    requireIfPresent(keys, "moe_intermediate_size", inner);
    requireIfPresent(keys, "num_shared_expert", 1);
    int chosen = ofAllLayers(keys, "moe_topk");
    int most = Math.min(experts, GateConfig.MAX_TOP_K);
    if (chosen > most) {
      throw keys.bad("moe_topk", "" + chosen, "at most " + most + ", the number of experts");
    }
    GateConfig gate = Decoder.softmax(chosen, true);
    MoeConfig moe =
        MoeConfig.of(experts, inner, Activation.SWIGLU, false, gate)
            .withShared(new MoeConfig.SharedExpert(inner, false));
    return decoder.model(_ -> attention, _ -> moe);
  }

  /** With {@code alpha} the base is {@code base * alpha^(D / (D - 2))} at every length. */
  private static Rotary rotary(Keys keys, int size) {
    Keys scaling = keys.object(keys.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
    if (scaling == null || !scaling.has("alpha")) {
      return RotaryKeys.of(keys, 1e4, size, Rotary.Pairs.HALVES);
    }
    scaling.require("type", "dynamic");
    scaling.require("rope_type", "dynamic");
    if (scaling.number("factor", 1) != 1) {
      throw scaling.bad("factor", "" + scaling.number("factor", 1), "1, since alpha is given");
    }
    scaling.ignore("beta_fast", "beta_slow", "mscale", "mscale_all_dim"); // of YaRN
    double base = scaling.number("rope_theta", keys.number("rope_theta", 1e4));
    double grown = base * Math.pow(scaling.number("alpha", 1), (double) size / (size - 2));
    return new Rotary(grown, size, Rotary.Pairs.HALVES, null);
  }

  /** A number that is also given as a list, with an entry for each layer. */
  private static int ofAllLayers(Keys keys, String name) {
    List<Integer> numbers = keys.numbers(name).stream().distinct().toList();
    if (numbers.size() != 1 || numbers.getFirst() == 0) {
      throw keys.bad(
          name, keys.has(name) ? numbers.toString() : "missing", "a number from 1, for all layers");
    }
    return numbers.getFirst();
  }

  private static void requireIfPresent(Keys keys, String name, int only) {
    if (keys.has(name) && ofAllLayers(keys, name) != only) {
      throw keys.bad(name, keys.numbers(name).toString(), only + ": nothing else is supported");
    }
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
