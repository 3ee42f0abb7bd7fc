package panamoe.model.family;

import panamoe.backend.Activation;
import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.config.AttentionConfig;
import panamoe.config.DenseConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/** ERNIE 4.5 (Baidu): softmax scores, to which a bias is added for the choice alone. */
final class Ernie45Moe implements Family {
  @Override
  public String type() {
    return "ernie4_5_moe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5, true);
    keys.require("moe_use_aux_free", true);
    keys.require("moe_gate", "topk");
    keys.ignore("moe_capacity", "moe_gate_act", "num_nextn_predict_layers"); // of training
    GroupedQueryConfig.Heads heads = decoder.heads();
    boolean bias = keys.flag("use_bias", false);
    AttentionConfig attention =
        GroupedQueryConfig.of(
            heads, bias, RotaryKeys.of(keys, 5e5, heads.size(), Rotary.Pairs.ADJACENT));
    int experts = keys.count("moe_num_experts");
    int inner = keys.count("moe_intermediate_size");
    int shared = keys.numbers("moe_num_shared_experts").stream().findFirst().orElse(2);
    GateConfig gate =
        new GateConfig(
            Decoder.chosen(keys, "moe_k", experts),
            false,
            Score.SOFTMAX,
            new GateConfig.Choice(1, 1, GroupScore.MAXIMUM, true, GateConfig.Noise.NONE),
            new GateConfig.RouteWeight(
                Normalization.CHOSEN, keys.number("moe_norm_min", 1e-12), 0, 1),
            GateConfig.Capacity.DROPLESS,
            new GateConfig.Loss(true, 0, 0));
    FeedForwardConfig dense =
        new DenseConfig(keys.count("intermediate_size"), Activation.SWIGLU, bias);
    FeedForwardConfig moe =
        MoeConfig.of(experts, inner, Activation.SWIGLU, bias, gate)
            .withShared(Decoder.shared(shared, inner));
    int first = keys.numbers("moe_layer_start_index").stream().findFirst().orElse(1);
    int last = (int) keys.number("moe_layer_end_index", -1);
    int interval = keys.count("moe_layer_interval", 1);
    return decoder.model(
        _ -> attention,
        layer ->
            layer >= first && (last < 0 || layer <= last) && (layer + 1) % interval == 0
                ? moe
                : dense);
  }

  @Override
  public Recipes recipes() {
    return DeepSeekFamily.experts(Recipes.ofDecoder())
        .put("moe.gate.correction", Recipe.flat("mlp.moe_statics.e_score_correction_bias"));
  }
}
