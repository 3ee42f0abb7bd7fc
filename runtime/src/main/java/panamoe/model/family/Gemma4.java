package panamoe.model.family;

import java.util.List;
import java.util.function.IntFunction;
import java.util.function.IntPredicate;
import panamoe.backend.Activation;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.BlockConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.Biases;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.GroupedQueryConfig.Values;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;
import panamoe.config.RotaryScaling;

/**
 * Gemma 4 (Google), the text model: layers that see all tokens have heads of their own, whose keys
 * may be values; an MLP stands beside the experts, each with norms of its own.
 */
final class Gemma4 implements Family {
  private static final int PERIOD = 6; // every such layer sees all tokens

  @Override
  public String type() {
    return "gemma4_text";
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = GemmaFamily.decoder(keys, false);
    keys.ignore("vocab_size_per_layer_input"); // of a table that is refused here
    if (!keys.numbers("hidden_size_per_layer_input").equals(List.of(0))) {
      throw keys.bad(
          "hidden_size_per_layer_input",
          keys.has("hidden_size_per_layer_input") ? "not 0" : "missing, which means 256",
          "0: embeddings of layers are not supported");
    }
    keys.require("num_kv_shared_layers", 0);
    keys.require("use_bidirectional_attention", "vision"); // text stays causal
    keys.require("use_double_wide_mlp", false);
    GroupedQueryConfig.Heads heads = GemmaFamily.heads(keys);
    boolean ofKeys = keys.flag("attention_k_eq_v", false);
    int keyValue = keys.count("num_global_key_value_heads", heads.keyValue());
    GroupedQueryConfig.Heads far =
        new GroupedQueryConfig.Heads(
            heads.query(),
            ofKeys ? keyValue : heads.keyValue(),
            keys.count("global_head_dim", 512));
    Rotary slow =
        new Rotary(1e6, far.size(), Rotary.Pairs.HALVES, new RotaryScaling.Proportional(0.25));
    GroupedQueryConfig whole =
        attention(decoder, far, RotaryKeys.ofKind(keys, Decoder.FULL, slow), ofKeys);
    Rotary fast = Rotary.whole(1e4, heads.size());
    GroupedQueryConfig near =
        attention(decoder, heads, RotaryKeys.ofKind(keys, Decoder.WINDOW, fast), false)
            .with(scores().withWindow(keys.count("sliding_window", 512)));
    IntPredicate windowed =
        decoder.windowed(layer -> (layer + 1) % PERIOD != 0 && layer + 1 < decoder.layers());
    ModelConfig model =
        decoder.model(
            layer -> windowed.test(layer) ? near : whole,
            keys.flag("enable_moe_block", false) ? experts(decoder) : decoder.dense(false),
            BlockConfig.Norms.AROUND);
    return GemmaFamily.scaled(
        model.withBlocks(model.blocks().stream().map(BlockConfig::withScale).toList()),
        keys.number("final_logit_softcapping", (Double) null));
  }

  private static Scores scores() {
    return Scores.CAUSAL.withScale(1.0);
  }

  private static GroupedQueryConfig attention(
      Decoder decoder, GroupedQueryConfig.Heads heads, Rotary rotary, boolean ofKeys) {
    boolean biased = decoder.keys().flag("attention_bias", false);
    return GroupedQueryConfig.of(heads, biased, rotary)
        .with(new Biases(biased, biased, biased && !ofKeys, biased))
        .with(decoder.norm(Over.HEAD))
        .with(new Values(ofKeys, decoder.norm()))
        .with(scores());
  }

  private static IntFunction<FeedForwardConfig> experts(Decoder decoder) {
    Keys keys = decoder.keys();
    int experts = keys.count("num_experts");
    GateConfig gate = Decoder.softmax(Decoder.chosen(keys, "top_k_experts", experts), true);
    MoeConfig moe =
        MoeConfig.of(
                experts,
                keys.count("moe_intermediate_size"),
                Activation.GEGLU_TANH,
                false,
                gate.withWeight(gate.weight().timesFactors()))
            .withShared(
                new MoeConfig.SharedExpert(keys.count("intermediate_size"), false, decoder.norm()));
    return _ -> moe;
  }

  @Override
  public Recipes recipes() {
    return GemmaFamily.recipes()
        .swiglu("moe.shared", "mlp")
        .put("scale", Recipe.tensor("layer_scalar"))
        .put("moe.shared.norm.weight", Recipe.tensor("pre_feedforward_layernorm.weight"))
        .put("moe.shared.output_norm.weight", Recipe.tensor("post_feedforward_layernorm_1.weight"))
        .put("moe.experts_norm.weight", Recipe.tensor("pre_feedforward_layernorm_2.weight"))
        .put("moe.experts_output_norm.weight", Recipe.tensor("post_feedforward_layernorm_2.weight"))
        .put("moe.gate.norm.weight", Recipe.tensor("router.scale"))
        .put("moe.gate.weight", Recipe.tensor("router.proj.weight"))
        .put("moe.gate.factors", Recipe.tensor("router.per_expert_scale"))
        .put("moe.experts.up.weight", Recipe.stacked("experts.gate_up_proj"))
        .put("moe.experts.down.weight", Recipe.stacked("experts.down_proj"));
  }
}
