package panamoe.model.family;

import panamoe.backend.Activation;
import panamoe.backend.GateSettings.Normalization;
import panamoe.config.AttentionConfig;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GateConfig;
import panamoe.config.HeadConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.NormConfig;

/** Phi-3.5-MoE (Microsoft): LayerNorm, biases, and the weights of SparseMixer. */
final class PhiMoe implements Family {
  @Override
  public String type() {
    return "phimoe";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder =
        Decoder.of(keys, 1e-5)
            .with(new NormConfig(NormConfig.Kind.LAYER, keys.number("rms_norm_eps", 1e-5)));
    keys.ignore("hidden_dropout", "input_jitter_noise"); // of training
    keys.ignore("original_max_position_embeddings"); // without meaning unless RotaryKeys reads it
    AttentionConfig attention =
        decoder.attention(decoder.heads(), 1e6).with(Scores.of(keys.count("sliding_window", 0)));
    int experts = keys.count("num_local_experts");
    GateConfig gate = Decoder.softmax(Decoder.chosen(keys, experts), false, Normalization.RAW);
    double threshold = 2 * keys.number("router_jitter_noise", 0.01);
    MoeConfig moe =
        MoeConfig.of(
            experts,
            keys.count("intermediate_size"),
            Activation.SWIGLU,
            false,
            gate.withWeight(gate.weight().ofSparseMixer(threshold)));
    return decoder
        .model(_ -> attention, _ -> moe)
        .with(new HeadConfig(decoder.tied(), keys.flag("lm_head_bias", false)));
  }

  @Override
  public Recipes recipes() {
    return Recipes.ofDecoder()
        .experts("block_sparse_moe", "mlp", "w1", "w3", "w2")
        .put("attention_norm.bias", Recipe.tensor("input_layernorm.bias"))
        .put("mlp_norm.bias", Recipe.tensor("post_attention_layernorm.bias"))
        .put("final_norm.bias", Recipe.tensor("model.norm.bias"))
        .put("head.bias", Recipe.tensor("lm_head.bias"));
  }
}
