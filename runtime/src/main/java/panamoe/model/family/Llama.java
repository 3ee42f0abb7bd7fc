package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.ModelConfig;

/** Llama 2 and 3 (Meta), and the many models of their architecture. */
final class Llama implements Family {
  @Override
  public String type() {
    return "llama";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    keys.ignore("is_llama_config", "transformers.js_config"); // of SmolLM and SmolLM2
    keys.require("rope_interleaved", false);
    AttentionConfig attention = decoder.attention(decoder.heads(), 1e4);
    return decoder.model(_ -> attention, decoder.dense(keys.flag("mlp_bias", false)));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder();
  }
}
