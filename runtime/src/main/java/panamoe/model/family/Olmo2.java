package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.BlockConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;

/** OLMo 2 (Ai2): the outputs of attention and MLP are normalised, not their inputs. */
final class Olmo2 implements Family {
  @Override
  public String type() {
    return "olmo2";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    AttentionConfig attention =
        decoder.attention(decoder.heads(), 1e4).with(decoder.norm(Over.PROJECTION));
    return decoder.model(_ -> attention, decoder.dense(false), BlockConfig.Norms.AFTER);
  }

  @Override
  public Recipes recipes() {
    return normalisingOutputs();
  }

  /** The names of norms behind attention and MLP. */
  static Recipes normalisingOutputs() {
    return Recipes.ofDecoder()
        .put("attention_output_norm.weight", Recipe.tensor("post_attention_layernorm.weight"))
        .put("mlp_output_norm.weight", Recipe.tensor("post_feedforward_layernorm.weight"));
  }
}
