package panamoe.model.family;

import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.config.AttentionConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/**
 * DeepSeek-V3 and R1: sigmoid scores, plus a bias for the choice only; experts are chosen in the
 * groups with the highest sum of two scores. Further layers in the files are for multi-token
 * prediction.
 */
final class DeepSeekV3 implements Family {
  @Override
  public String type() {
    return "deepseek_v3";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = DeepSeekFamily.decoder(keys);
    keys.require("scoring_func", "sigmoid");
    keys.require("topk_method", "noaux_tc");
    boolean normalized = keys.flag("norm_topk_prob", true);
    boolean adjacent = keys.flag("rope_interleave", true);
    GateConfig gate =
        new GateConfig(
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
    AttentionConfig attention =
        DeepSeekFamily.attention(keys, adjacent ? Rotary.Pairs.ADJACENT : Rotary.Pairs.HALVES);
    return decoder.model(_ -> attention, DeepSeekFamily.feedForward(keys, gate));
  }

  @Override
  public Recipes recipes() {
    return DeepSeekFamily.recipes()
        .put("moe.gate.correction", Recipe.tensor("mlp.gate.e_score_correction_bias"))
        .withoutFurtherLayers();
  }
}
