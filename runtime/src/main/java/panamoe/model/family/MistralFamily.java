package panamoe.model.family;

import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/** Mistral (Mistral AI): Llama with a window of attention, in the first versions. */
final class MistralFamily implements Family {
  @Override
  public String type() {
    return "mistral";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    GroupedQueryConfig.Heads heads = decoder.heads();
    AttentionConfig attention =
        GroupedQueryConfig.of(
                heads, false, RotaryKeys.of(keys, 1e4, heads.size(), Rotary.Pairs.HALVES))
            .with(Scores.of(keys.count("sliding_window", 0)));
    return decoder.model(_ -> attention, decoder.dense(false));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder();
  }
}
