package panamoe.model.family;

import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/**
 * Gemma 3 (Google), the text model: five of six layers have a window and rotary positions of their
 * own; queries and keys are normalised.
 */
final class Gemma3 implements Family {
  @Override
  public String type() {
    return "gemma3_text";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = GemmaFamily.decoder(keys, true);
    GroupedQueryConfig.Heads heads = GemmaFamily.heads(keys);
    Rotary every = RotaryKeys.of(keys, 1e6, heads.size(), Rotary.Pairs.HALVES);
    Rotary local = Rotary.whole(keys.number("rope_local_base_freq", 1e4), heads.size());
    GroupedQueryConfig whole =
        GroupedQueryConfig.of(
                heads,
                keys.flag("attention_bias", false),
                RotaryKeys.ofKind(keys, Decoder.FULL, every))
            .with(decoder.norm(Over.HEAD))
            .with(GemmaFamily.scores(keys, heads.size(), null));
    GroupedQueryConfig near = whole.withRotary(RotaryKeys.ofKind(keys, Decoder.WINDOW, local));
    return GemmaFamily.model(decoder, whole, near, 6, null);
  }

  @Override
  public Recipes recipes() {
    return GemmaFamily.recipes();
  }
}
