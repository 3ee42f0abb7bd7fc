package panamoe.model.family;

import java.util.List;
import java.util.function.IntPredicate;
import panamoe.backend.Activation;
import panamoe.backend.GateSettings.Normalization;
import panamoe.backend.GateSettings.Score;
import panamoe.config.AttentionConfig.Scores;
import panamoe.config.DenseConfig;
import panamoe.config.FeedForwardConfig;
import panamoe.config.GateConfig;
import panamoe.config.GroupedQueryConfig;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm;
import panamoe.config.GroupedQueryConfig.QueryKeyNorm.Over;
import panamoe.config.GroupedQueryConfig.Temperature;
import panamoe.config.ModelConfig;
import panamoe.config.MoeConfig;
import panamoe.config.Rotary;

/**
 * The text model of Llama 4 (Meta): attention in chunks, layers without positions whose queries
 * grow with theirs, and experts whose inputs are weighted by a sigmoid. Scout normalises rotated
 * queries and keys.
 */
final class Llama4 implements Family {
  static final String TYPE = "llama4_text";

  @Override
  public String type() {
    return TYPE;
  }

  @Override
  public ModelConfig model(Keys keys) {
    Decoder decoder = Decoder.of(keys, 1e-5);
    keys.ignore("for_llm_compressor", "cache_implementation");
    GroupedQueryConfig.Heads heads = decoder.heads(128);
    GroupedQueryConfig plain =
        GroupedQueryConfig.of(
            heads,
            keys.flag("attention_bias", false),
            RotaryKeys.of(keys, 5e5, heads.size(), Rotary.Pairs.ADJACENT));
    GroupedQueryConfig rotating =
        keys.flag("use_qk_norm", true)
            ? plain.with(new QueryKeyNorm(Over.ROTATED_HEAD, decoder.norm(), true))
            : plain;
    int positions = keys.count("floor_scale", 8192);
    double scale = keys.number("attn_scale", 0.1);
    GroupedQueryConfig growing =
        plain
            .withRotary(null)
            .with(
                keys.truth("attn_temperature_tuning", true)
                    ? new Temperature(scale, positions)
                    : null);
    IntPredicate rotated = decoder.rotated();
    IntPredicate chunked = decoder.layersOf(Decoder.CHUNKS, rotated);
    Scores chunks = Scores.ofChunks(keys.count("attention_chunk_size", 8192));
    return decoder.model(
        layer ->
            (rotated.test(layer) ? rotating : growing)
                .with(chunked.test(layer) ? chunks : Scores.CAUSAL),
        layer -> feedForward(keys, layer));
  }

  private static FeedForwardConfig feedForward(Keys keys, int layer) {
    int experts = keys.count("num_local_experts", 16);
    int inner = keys.count("intermediate_size", 8192);
    int step = keys.count("interleave_moe_layer_step", 1);
    List<Integer> sparse = keys.numbers("moe_layers");
    DenseConfig dense =
        new DenseConfig(keys.count("intermediate_size_mlp", 16384), Activation.SWIGLU, false);
    GateConfig gate =
        new GateConfig(
            Decoder.chosen(keys, experts),
            false,
            Score.SIGMOID,
            GateConfig.Choice.BEST,
            GateConfig.RouteWeight.of(Normalization.RAW).at(GateConfig.RouteWeight.Place.INPUT),
            GateConfig.Capacity.DROPLESS,
            new GateConfig.Loss(true, 0, 0));
    boolean chooses = keys.has("moe_layers") ? sparse.contains(layer) : (layer + 1) % step == 0;
    return chooses
        ? MoeConfig.of(experts, inner, Activation.SWIGLU, false, gate)
            .withShared(new MoeConfig.SharedExpert(inner, false))
        : dense;
  }

  @Override
  public Recipes recipes() {
    String experts = "feed_forward.experts.";
    return Recipes.ofDecoder()
        .swiglu("mlp", "feed_forward")
        .swiglu("moe.shared", "feed_forward.shared_expert")
        .put("moe.gate.weight", Recipe.tensor("feed_forward.router.weight"))
        .put("moe.experts.up.weight", Recipe.stacked(experts + "gate_up_proj").transposed())
        .put("moe.experts.down.weight", Recipe.stacked(experts + "down_proj").transposed());
  }
}
