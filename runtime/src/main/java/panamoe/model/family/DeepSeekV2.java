package panamoe.model.family;

import panamoe.backend.GateSettings.GroupScore;
import panamoe.backend.GateSettings.Normalization;
import panamoe.config.AttentionConfig;
import panamoe.config.GateConfig;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/**
 * DeepSeek-V2: top-k of a softmax over all experts, within the groups with the best single expert
 * if there are groups; weights are scaled, not normalised.
 */
final class DeepSeekV2 implements Family {
  @Override
  public String type() {
    return "deepseek_v2";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = DeepSeekFamily.decoder(keys);
    keys.require("mlp_bias", false);
    keys.require("scoring_func", "softmax");
    keys.require("norm_topk_prob", false);
    GateConfig gate =
        Decoder.softmax(Decoder.chosen(keys, keys.count("n_routed_experts")), false)
            .withChoice(choice(keys))
            .withWeight(
                new GateConfig.RouteWeight(
                    Normalization.RAW, 0, 0, keys.number("routed_scaling_factor", 1)));
    AttentionConfig attention = DeepSeekFamily.attention(keys, Rotary.Pairs.ADJACENT);
    return decoder.model(_ -> attention, DeepSeekFamily.feedForward(keys, gate));
  }

  private static GateConfig.Choice choice(Keys keys) {
    int groups = keys.count("n_group", 1);
    int chosen = keys.count("topk_group", 1);
    String method = keys.text("topk_method", "greedy");
    return switch (method) {
      case "greedy" -> GateConfig.Choice.BEST;
      case "group_limited_greedy" ->
          new GateConfig.Choice(groups, chosen, GroupScore.MAXIMUM, false, GateConfig.Noise.NONE);
      default -> throw keys.bad("topk_method", method, "greedy or group_limited_greedy");
    };
  }

  @Override
  public Recipes recipes() {
    return DeepSeekFamily.recipes();
  }
}
