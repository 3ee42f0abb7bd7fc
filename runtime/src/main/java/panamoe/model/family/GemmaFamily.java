package panamoe.model.family;

import java.util.function.IntPredicate;
import panamoe.backend.Activation;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.EmbeddingConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.HeadConfig;
import panamoe.config.ModelConfig;
import panamoe.config.NormConfig;

/**
 * What Gemma's generations (Google) have in common: a scaled embedding, GeGLU, norms before and
 * after attention and MLP, soft caps, and windows in most layers.
 */
final class GemmaFamily {
  private GemmaFamily() {}

  /**
   * @param unitOffset whether 1 is added to the weights of norms
   */
  static Decoder decoder(Keys keys, boolean unitOffset) {
    keys.ignore("cache_implementation");
    keys.require("hidden_act", "gelu_pytorch_tanh"); // older configurations have both
    keys.require("hidden_activation", "gelu_pytorch_tanh");
    NormConfig norm =
        new NormConfig(
            NormConfig.Kind.RMS, keys.number("rms_norm_eps", 1e-6), unitOffset ? true : null);
    return Decoder.of(keys, norm, true, Activation.GEGLU_TANH);
  }

  /** The heads, with the sizes that a configuration may leave out. */
  static GroupedQueryConfig.Heads heads(Keys keys) {
    return new GroupedQueryConfig.Heads(
        keys.count("num_attention_heads", 8),
        keys.count("num_key_value_heads", 4),
        keys.count("head_dim", 256));
  }

  /**
   * The scores of Gemma 2 and 3: {@code query_pre_attn_scalar} takes the place of a head's size.
   *
   * @param cap default of the soft cap; null: none
   */
  static Scores scores(Keys keys, int size, Double cap) {
    double scalar = keys.number("query_pre_attn_scalar", 256);
    if (!(scalar > 0)) {
      throw keys.bad("query_pre_attn_scalar", "" + scalar, "a number above 0");
    }
    return Scores.CAUSAL
        .withScale(scalar == size ? null : 1 / Math.sqrt(scalar))
        .withSoftCap(keys.number("attn_logit_softcapping", cap));
  }

  /**
   * The model of layers that see all tokens, and of layers with a window.
   *
   * @param near without its window
   * @param period every such layer sees all, where {@code layer_types} is absent
   * @param cap default of the soft cap of the logits; null: none
   */
  static ModelConfig model(
      Decoder decoder, GroupedQueryConfig whole, GroupedQueryConfig near, int period, Double cap) {
    Keys keys = decoder.keys();
    keys.require("use_bidirectional_attention", false);
    keys.ignore("_sliding_window_pattern"); // says again what layer_types says
    int every = keys.count("sliding_window_pattern", period);
    IntPredicate windowed = decoder.windowed(layer -> (layer + 1) % every != 0);
    GroupedQueryConfig windows =
        near.with(near.scores().withWindow(keys.count("sliding_window", 4096)));
    ModelConfig model =
        decoder.model(
            layer -> windowed.test(layer) ? windows : whole,
            decoder.dense(false),
            BlockConfig.Norms.AROUND);
    return scaled(model, keys.number("final_logit_softcapping", cap));
  }

  /** The model with a scaled embedding, and a soft cap of its logits. */
  static ModelConfig scaled(ModelConfig model, Double cap) {
    double scale = Math.sqrt(model.hidden());
    return model
        .with(new EmbeddingConfig(EmbeddingConfig.Positions.NONE, null, scale))
        .with(new HeadConfig(model.head().tied(), false, null, cap));
  }

  static Recipes recipes() {
    return Olmo2.normalisingOutputs()
        .put("mlp_norm.weight", Recipe.tensor("pre_feedforward_layernorm.weight"));
  }
}
