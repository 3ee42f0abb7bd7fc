package panamoe.model.family;

import java.util.function.IntPredicate;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;

/**
 * SmolLM3 (Hugging Face): Llama in which some layers, every fourth by default, have no positions.
 */
final class SmolLm3 implements Family {
  @Override
  public String type() {
    return "smollm3";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6, true);
    decoder.requireFullAttention();
    IntPredicate rotated = decoder.rotated();
    GroupedQueryConfig with = decoder.attention(decoder.heads(), 2e6);
    GroupedQueryConfig without = with.withRotary(null);
    return decoder.model(
        layer -> rotated.test(layer) ? with : without, decoder.dense(keys.flag("mlp_bias", false)));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder();
  }
}
