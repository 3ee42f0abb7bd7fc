package panamoe.model.family;

import java.util.List;
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
    int interval = keys.count("no_rope_layer_interval", 4);
    List<Integer> rotated = keys.numbers("no_rope_layers"); // 1: with positions
    boolean flags = rotated.stream().allMatch(each -> each <= 1);
    if (!flags || (!rotated.isEmpty() && rotated.size() != decoder.layers())) {
      throw keys.bad("no_rope_layers", rotated.toString(), "0 or 1 for each of the layers");
    }
    GroupedQueryConfig with = decoder.attention(decoder.heads(), 2e6);
    GroupedQueryConfig without = with.withRotary(null);
    return decoder.model(
        layer ->
            (rotated.isEmpty() ? (layer + 1) % interval != 0 : rotated.get(layer) == 1)
                ? with
                : without,
        decoder.dense(keys.flag("mlp_bias", false)));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder();
  }
}
