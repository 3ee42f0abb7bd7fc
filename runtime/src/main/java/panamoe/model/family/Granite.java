package panamoe.model.family;

import panamoe.config.EmbeddingConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.HeadConfig;
import panamoe.config.ModelConfig;

/** Granite 3 (IBM): Llama with a factor of the embedding, attention, every layer and the logits. */
final class Granite implements Family {
  @Override
  public String type() {
    return "granite";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-6);
    GroupedQueryConfig attention = attention(decoder);
    return scaled(keys, decoder.model(_ -> attention, decoder.dense(keys.flag("mlp_bias", false))));
  }

  static GroupedQueryConfig attention(Decoder decoder) {
    GroupedQueryConfig attention = decoder.attention(decoder.heads(), 1e4);
    double scale = decoder.keys().number("attention_multiplier", 1);
    boolean usual = scale == 1 / Math.sqrt(attention.heads().size());
    return attention.with(attention.scores().withScale(usual ? null : scale));
  }

  /** The model with Granite's factors. */
  static ModelConfig scaled(Keys keys, ModelConfig model) {
    Double outputs = factor(keys.number("residual_multiplier", 1));
    return model
        .withBlocks(model.blocks().stream().map(block -> block.withOutputScale(outputs)).toList())
        .with(
            new EmbeddingConfig(
                EmbeddingConfig.Positions.NONE,
                null,
                factor(keys.number("embedding_multiplier", 1))))
        .with(
            new HeadConfig(
                model.head().tied(), false, factor(1 / keys.number("logits_scaling", 1))));
  }

  private static Double factor(double value) {
    return value == 1 ? null : value;
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder();
  }
}
