package panamoe.model.family;

import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;

/** Gemma 2 (Google): every second layer has a window; scores and logits are capped softly. */
final class Gemma2 implements Family {
  @Override
  public String type() {
    return "gemma2";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = GemmaFamily.decoder(keys, true);
    GroupedQueryConfig.Heads heads = GemmaFamily.heads(keys);
    GroupedQueryConfig attention =
        decoder.attention(heads, 1e4).with(GemmaFamily.scores(keys, heads.size(), 50.0));
    return GemmaFamily.model(decoder, attention, attention, 2, 30.0);
  }

  @Override
  public Recipes recipes() {
    return GemmaFamily.recipes();
  }
}
