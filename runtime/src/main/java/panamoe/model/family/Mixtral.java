package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/** Mixtral (Mistral AI): experts in every layer, weights normalised over the chosen ones. */
final class Mixtral implements Family {
  @Override
  public String type() {
    return "mixtral";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    GroupedQueryConfig.Heads heads = decoder.heads();
    AttentionConfig attention =
        GroupedQueryConfig.of(
                heads, false, RotaryKeys.of(keys, 1e6, heads.size(), Rotary.Pairs.HALVES))
            .with(Scores.of(keys.count("sliding_window", 0)));
    MoeConfig experts = decoder.experts("num_local_experts", "intermediate_size", true);
    return decoder.model(_ -> attention, _ -> experts);
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder().experts("block_sparse_moe", "mlp", "w1", "w3", "w2");
  }
}
