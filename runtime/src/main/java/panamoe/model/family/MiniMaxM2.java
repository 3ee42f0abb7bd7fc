package panamoe.model.family;

import java.util.List;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.config.AttentionConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/** MiniMax-M2: part of each head is rotated; sigmoid scores with a bias for the choice. */
final class MiniMaxM2 implements Family {
  @Override
  public String type() {
    return "minimax_m2";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    keys.require("scoring_func", "sigmoid");
    keys.require("use_routing_bias", true);
    keys.require("qk_norm_type", "per_layer");
    keys.require("shared_intermediate_size", 0);
    List<Integer> types = keys.numbers("attn_type_list"); // 1: of all tokens, not linear
    if (!types.stream().allMatch(type -> type == 1)) {
      throw keys.bad("attn_type_list", types.toString(), "1 alone");
    }
    for (String part : List.of("full_attention", "linear_attention", "mlp")) {
      String factor = "layernorm_" + part + "_beta";
      double found = keys.number(factor, 1);
      if (found != 1) {
        throw keys.bad(factor, "" + found, "1: nothing else is supported");
      }
    }
    // Of parts that the files do not have, or of a server.
    keys.ignore("mlp_intermediate_size", "shared_moe_mode", "max_model_len");
    keys.ignore("use_mtp", "num_mtp_modules", "mtp_transformer_layers");
    GroupedQueryConfig.Heads heads = decoder.heads();
    double part = (double) keys.count("rotary_dim", heads.size()) / heads.size();
    AttentionConfig attention =
        GroupedQueryConfig.of(
                heads, false, RotaryKeys.ofPart(keys, 5e6, heads.size(), part, Rotary.Pairs.HALVES))
            .with(keys.flag("use_qk_norm", true) ? decoder.norm(Over.PROJECTION) : null);
    int experts = keys.count("num_local_experts");
    GateConfig gate =
        new GateConfig(
            Decoder.chosen(keys, experts),
            false,
            Score.SIGMOID,
            new GateConfig.Choice(1, 1, GroupScore.MAXIMUM, true, GateConfig.Noise.NONE),
            GateConfig.RouteWeight.of(Normalization.CHOSEN),
            GateConfig.Capacity.DROPLESS,
            new GateConfig.Loss(true, 0, 0));
    MoeConfig moe =
        MoeConfig.of(experts, keys.count("intermediate_size"), Activation.SWIGLU, false, gate);
    return decoder.model(_ -> attention, _ -> moe);
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder()
        .experts("block_sparse_moe", "mlp", "w1", "w3", "w2")
        .put("moe.gate.correction", Recipe.tensor("block_sparse_moe.e_score_correction_bias"));
  }
}
