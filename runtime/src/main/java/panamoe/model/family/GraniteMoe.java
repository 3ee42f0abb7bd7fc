package panamoe.model.family;

import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;

/** GraniteMoe (IBM), with a shared expert or without: Granite with experts in every layer. */
final class GraniteMoe implements Family {
  private final boolean shared;

  GraniteMoe(boolean shared) {
    this.shared = shared;
  }

  @Override
  public String type() {
    return shared ? "granitemoeshared" : "granitemoe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    keys.require("mlp_bias", false);
    GroupedQueryConfig attention = Granite.attention(decoder);
    MoeConfig.SharedExpert every =
        shared ? new MoeConfig.SharedExpert(keys.count("shared_intermediate_size"), false) : null;
    MoeConfig experts =
        decoder.experts("num_local_experts", "intermediate_size", true).withShared(every);
    return Granite.scaled(keys, decoder.model(_ -> attention, _ -> experts));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder()
        .put("moe.gate.weight", Recipe.tensor("block_sparse_moe.router.layer.weight"))
        .put("moe.experts.up.weight", Recipe.stacked("block_sparse_moe.input_linear.weight"))
        .put("moe.experts.down.weight", Recipe.stacked("block_sparse_moe.output_linear.weight"))
        .put("moe.shared.up.weight", Recipe.tensor("shared_mlp.input_linear.weight"))
        .put("moe.shared.down.weight", Recipe.tensor("shared_mlp.output_linear.weight"));
  }
}
