package panamoe.model.family;

import java.util.function.IntPredicate;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
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
    GroupedQueryConfig.Heads heads = decoder.heads();
    int window = keys.count("sliding_window", 4096);
    IntPredicate windowed = decoder.windowed(layer -> (layer + 1) % 4 != 0);
    Biases biases = Biases.all(keys.flag("attention_bias", false));
    QueryKeyNorm norm = new QueryKeyNorm(QueryKeyNorm.Over.PROJECTION, decoder.norm());
    Rotary whole = RotaryKeys.of(keys, 5e5, heads.size(), Rotary.Pairs.HALVES);
    Rotary trained = new Rotary(whole.base(), whole.size(), whole.pairs(), null);
    return decoder.model(
        layer ->
            windowed.test(layer)
                ? new GroupedQueryConfig(
                    heads,
                    biases,
                    norm,
                    null,
                    trained,
                    new Scores(Mask.CAUSAL, window, false, null))
                : new GroupedQueryConfig(heads, biases, norm, null, whole, Scores.CAUSAL),
        decoder.dense(false),
        BlockConfig.Norms.AFTER);
  }

  @Override
  public Recipes recipes() {
    return Olmo2.normalisingOutputs();
  }
}
