package panamoe.model.family;

import java.util.function.IntPredicate;
import panamoe.backend.Activation;
import panamoe.backend.AttentionSettings.Mask;
import panamoe.backend.GateSettings.Normalization;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/**
 * GPT-OSS (OpenAI): attention with sinks, alternating between a window and all tokens; biases
 * everywhere; a clamped SwiGLU. Its experts are stored in MXFP4, or as float matrices [in, out];
 * gate and up rows are interleaved.
 */
final class GptOss implements Family {
  @Override
  public String type() {
    return "gpt_oss";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    keys.ignore("experts_per_token", "initial_context_length"); // duplicates of other keys
    GroupedQueryConfig.Heads heads = decoder.heads(64);
    GroupedQueryConfig attention =
        GroupedQueryConfig.of(
            heads,
            keys.flag("attention_bias", true),
            RotaryKeys.of(keys, 150_000, heads.size(), Rotary.Pairs.HALVES));
    int window = keys.count("sliding_window", 128);
    IntPredicate windowed = decoder.windowed(layer -> layer % 2 == 0);
    int experts = keys.count("num_local_experts", keys.count("num_experts", 128));
    float limit = (float) keys.number("swiglu_limit", 7);
    float alpha = (float) keys.number("swiglu_alpha", 1.702);
    MoeConfig moe =
        MoeConfig.of(
            experts,
            keys.count("intermediate_size"),
            Activation.clampedSwiglu(limit, alpha, 1),
            true,
            // A softmax over the k best logits equals one over all, normalised over the chosen.
            Decoder.softmax(Decoder.chosen(keys, experts), true, Normalization.CHOSEN));
    return decoder.model(
        layer ->
            attention.with(new Scores(Mask.CAUSAL, windowed.test(layer) ? window : 0, true, null)),
        _ -> moe);
  }

  @Override
  public Recipes recipes() {
    String up = "mlp.experts.gate_up_proj";
    String down = "mlp.experts.down_proj";
    return Recipes.ofDecoder()
        .put("attention.sinks", Recipe.tensor("self_attn.sinks"))
        .put("moe.gate.weight", Recipe.tensor("mlp.router.weight"))
        .put("moe.gate.bias", Recipe.tensor("mlp.router.bias"))
        .put(
            "moe.experts.up.weight",
            Recipe.either(up + "_blocks", Recipe.blocks(up), Recipe.stacked(up).transposed())
                .deinterleaved())
        .put("moe.experts.up.bias", Recipe.stacked(up + "_bias").deinterleaved())
        .put(
            "moe.experts.down.weight",
            Recipe.either(down + "_blocks", Recipe.blocks(down), Recipe.stacked(down).transposed()))
        .put("moe.experts.down.bias", Recipe.stacked(down + "_bias"));
  }
}
