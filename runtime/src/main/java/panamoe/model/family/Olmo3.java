package panamoe.model.family;

import java.util.function.IntPredicate;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.ModelConfig;
import panamoe.config.Rotary;

/**
 * OLMo 3 (Ai2): OLMo 2 with a window in three of four layers, where rotary positions are not
 * stretched.
 */
final class Olmo3 implements Family {
  @Override
  public String type() {
    return "olmo3";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    int window = keys.count("sliding_window", 4096);
    IntPredicate windowed = decoder.windowed(layer -> (layer + 1) % 4 != 0);
    GroupedQueryConfig whole =
        decoder.attention(decoder.heads(), 5e5).with(decoder.norm(Over.PROJECTION));
    Rotary every = whole.rotary();
    Rotary unscaled = new Rotary(every.base(), every.size(), every.pairs(), null);
    GroupedQueryConfig far = whole.withRotary(RotaryKeys.ofKind(keys, Decoder.FULL, every));
    GroupedQueryConfig near =
        whole.withRotary(RotaryKeys.ofKind(keys, Decoder.WINDOW, unscaled)).with(Scores.of(window));
    return decoder.model(
        layer -> windowed.test(layer) ? near : far, decoder.dense(false), BlockConfig.Norms.AFTER);
  }

  @Override
  public Recipes recipes() {
    return Olmo2.normalisingOutputs();
  }
}
